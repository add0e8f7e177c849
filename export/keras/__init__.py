"""Networks saved by Keras, read without Keras and without running anything of the file.

archive, hdf5, weights   the file: configuration and arrays, every size bounded
layer_config             the configuration as layers and calls, whichever Keras wrote it
layers                   each Keras layer as ONNX operators
network                  the layers in the order of their calls: an offline ONNX graph
conversion               from_keras(): that graph to one proven streaming file
"""
