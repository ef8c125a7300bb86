"""Networks as ONNX graphs: float, and quantized on integer codes, with the gate they pass.

Standard operators alone (domain ai.onnx), dynamic batch and length. Texts become token ids outside
of the graph, by the tokenizer and the vocabulary that the file carries as metadata.
"""

from calibkit.export.onnx.network import MODEL, OnnxFile, export_onnx
from calibkit.export.onnx.parity import OnnxParity, check_onnx
from calibkit.onnx.float_model import write_float_onnx
from calibkit.onnx.packages import OPSET, OPSETS

__all__ = [
    "MODEL",
    "OPSET",
    "OPSETS",
    "OnnxFile",
    "OnnxParity",
    "check_onnx",
    "export_onnx",
    "write_float_onnx",
]
