"""The classifier of one stream: sound in, scores and events out."""

from stream.classifier.stream_classifier import StreamClassifier

__all__ = ["StreamClassifier"]
