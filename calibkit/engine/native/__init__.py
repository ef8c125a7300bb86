"""The native engine: optional C++ kernels, called by ctypes over the buffers of torch and numpy.

`mirror.NativeMirror` computes hidden states bit for bit as the torch mirror and Brevitas do;
`decoder.NativeDecoder` scores tokens in an arithmetic of its own, which a cell records
(``arithmetic: float-native``); `integer` has the states and token sums of ``arithmetic: integer``,
equal to those of `calibkit.engine.integer`. Built with the package where there is a C++17
compiler; `available` and `why_not` tell. Kernels run in the calling thread and choose their
instruction set when called (AVX-512 with VNNI, AVX-512, AVX2, plain C++); all of these give the
same bits.
"""

from calibkit.engine.native.library import Level, available, info, levels, why_not

__all__ = ["Level", "available", "info", "levels", "why_not"]
