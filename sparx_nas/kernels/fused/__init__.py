"""Parts of a block as one operator each on a CPU, with their backward passes written out.

Every part has a `plain` function of torch's operators beside it: the specification, and what
computes derivatives of derivatives. `sparx_nas.kernels.fusing` says when a part stands in.
"""
