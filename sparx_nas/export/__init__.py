"""Trained networks written for use elsewhere: ONNX, torch.export, a single file, a model card."""
