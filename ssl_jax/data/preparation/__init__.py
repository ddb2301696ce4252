"""`ssl-jax data prepare`: data sets from their packages and archives."""
