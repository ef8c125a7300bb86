"""The two float LSTM text classifiers: settings, networks, training, scoring, checkpoints.

Arrays in, arrays out. Importing this package (and `settings`) loads no torch; the other modules do.
"""
