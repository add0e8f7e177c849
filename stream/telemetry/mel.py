"""Back from the cepstrum to the mel spectrum, for the eye: the hot path keeps only what the model needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix


def cepstrum_to_mel(spec: MfccSpec) -> NDArray[np.float64]:
    """(K, B) matrix M with ``features[:, :K] @ M`` = log-mel energies in dB, (T, B).

    K is n_mfcc, or n_mels where the features are log-mel already; B is n_mels. With fewer coefficients than
    bands it is the least-squares answer: the spectrum as smooth as the model sees it.
    """
    if spec.n_mfcc is None:
        return np.eye(spec.n_mels)
    inverse = np.linalg.pinv(dct_matrix(spec.n_mfcc, spec.n_mels, spec.dct_norm))
    return np.asarray(inverse.T, dtype=np.float64)
