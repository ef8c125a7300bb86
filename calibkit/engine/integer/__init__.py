"""The integer engine: quantized networks on whole numbers alone, ``arithmetic: integer``.

The same numbers for any batch, order of documents, number of threads, implementation and machine:
every step is an addition, multiplication, shift or table look-up of integers. The torch
implementation here is the reference; `calibkit.engine.native.integer` equals it bit for bit.

- **Ratio.** A positive ratio r of scales (float64 products and quotients of the network's float32
  scales) is M / 2^s with M = round(r 2^s), 2^30 <= M < 2^31, s <= 62. Requantizing a whole number
  A: clamp((A M + 2^(s-1)) >> s), halves upward. Several ratios that are used side by side (the rows
  of a gate, the words of a decoder) share one s, that of the largest. Of a product of two codes, a
  ratio above 512 counts as 512: both lead out of every grid. Networks for which a product could
  reach 2^62, or a result 2^31, are refused by the name of the site.
- **Codes.** A value is a code times its quantizer's scale; the code 0 is 0, also where the range of
  an activation has two ends of its own (a zero point only moves the lowest and the highest code).
- **Input.** A word's codes are those of Brevitas: embedding, then the LSTM's input quantizers.
  W x + b of every word is a table of int32; b is in units of input scale times weight scale.
- **Gates.** Accumulator code = clamp((I M_i + A M_h + 2^(s-1)) >> s), I from the table,
  A = W_h h, one shift a gate. Sigmoid and tanh are tables by accumulator code, filled in float64.
- **Cell.** c' = clamp(requant(f c) + requant(i g)); h = requant(o tanh[c']).
- **Classifier.** Input code = clamp(floor((2 S M + L 2^s) / (2 L 2^s))), S the sum of the hidden
  codes of L tokens, s <= 40. Logit = (W c + b) M, one shift for all labels, s <= 46; the label is
  the largest logit, the lowest label on ties.
- **Decoder.** Logits count 2^-16 bits: a_v of h is (A M + 2^(s-1)) >> s, b_yv of label and bias
  likewise. With c_v = max_y b_yv, a label's sum over the vocabulary is that of
  2^(a_v + c_v - m) (29 fraction bits) times 2^(b_yv - c_v) (24 bits), so that all labels share
  the first factor. m is a whole number of bits not below any a_v + c_v so far: the words go by
  in blocks of 768, a block's sum loses 16 bits and is added to the total, which is shifted down
  when m rises. A label whose total stays below 2^-10 of the peak is summed again from its own
  a_v + b_yv. Powers and logarithms: `powers`. A document's score is the sum of its tokens'
  a_t + b_yt - log2 of the sum, and of the log prior, all in 2^-16 bits.

Scores leave as float64 in nats. The largest score is that of the largest whole number, and labels
share it only if they share that number, so that its argmax is the one of the integers.
"""

from calibkit.engine.integer.classifier import IntegerClassifier
from calibkit.engine.integer.decoder import IntegerDecoder
from calibkit.engine.integer.lstm import IntegerLSTM

__all__ = ["IntegerClassifier", "IntegerDecoder", "IntegerLSTM"]
