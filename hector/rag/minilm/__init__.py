"""BERT models for embedding: word pieces in Python, the computation in numpy, weights from safetensors files.

files -> wordpiece -> network: what is needed is loaded in the process that computes, never in the server.
"""
