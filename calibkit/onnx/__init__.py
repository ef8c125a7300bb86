"""ONNX: graphs as they are written and run, the float model as one, and ONNX Runtime's quantizers.

The packages ``onnx`` and ``onnxruntime`` are an extra and are imported only where they are needed.
"""
