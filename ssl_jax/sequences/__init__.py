"""Words: what reads and writes them, from the dictionary to the error rates.

`vocabulary` and `spelling` are the data, `word_noise` their views, `transformer` and `recurrent` the networks, `decoding` the
search for the best symbols, `transcription` the method and `error_rates` its evaluation.
"""
