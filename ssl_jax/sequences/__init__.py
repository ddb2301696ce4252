"""Words: data, networks, decoding and evaluation of sequences of letters and sounds.

`vocabulary` and `spelling` are the data, `word_noise` their views, `transformer`, `recurrent` and `encoder_only` the networks,
`decoding` the search for the best symbols, `transcription` the method and `error_rates` its evaluation.
"""
