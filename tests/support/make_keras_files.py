"""Makes the networks of tests/export/test_keras.py. Run by hand, where TensorFlow, tf_keras and tf2onnx are installed:

    python tests/support/make_keras_files.py tests/export/keras_networks.tar.xz
    python tests/support/make_keras_files.py tests/export/keras_networks.tar.xz torch   # adds what Keras exports there
    python tests/support/make_keras_files.py tests/export/keras_networks.tar.xz jax     # with jax2onnx

Each network is tiny, with random weights, and is stored as Keras (or a converter to ONNX) saved it, together with an
input and what Keras itself gives for it.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
F, C, FRAMES = 12, 3, 24
OLD = {  # made by Keras 2 too
    *("two SimpleRNN", "two GRU", "GRU before", "two LSTM", "masked GRU"),
    *("functions", "normalisations", "functional", "nested"),
}


def sequential(keras, *layers, shape=(None, F)):
    return keras.Sequential([keras.Input(shape), *layers])


def functional(keras, build, shape=(None, F)):
    x = keras.Input(shape)
    return keras.Model(x, build(x))


def recurrent(keras):
    L = keras.layers
    head = lambda: L.Dense(C, activation="softmax")  # noqa: E731
    for kind in ("SimpleRNN", "GRU", "LSTM"):
        make = getattr(L, kind)
        yield f"two {kind}", sequential(keras, make(8, return_sequences=True), make(8), head())
        yield f"{kind} frames", sequential(keras, make(8, return_sequences=True), head())
        yield (
            f"{kind} fixed",
            sequential(keras, make(8, dropout=0.2, recurrent_dropout=0.1), head(), shape=(98, F)),
        )
        yield (
            f"{kind} plain",
            sequential(keras, make(3, use_bias=False, activation="relu", unroll=False), head()),
        )
        rows = make(50, return_sequences=True), make(50)
        yield f"tutorial {kind}", sequential(keras, *rows, L.Dense(4, activation="sigmoid"), shape=(None, 40))
    yield (
        "GRU before",
        sequential(
            keras,
            L.GRU(8, return_sequences=True, reset_after=False),
            L.GRU(8, reset_after=False, use_bias=False),
            head(),
        ),
    )
    yield (
        "GRU hard",
        sequential(keras, L.GRU(8, recurrent_activation="hard_sigmoid", activation="softsign"), head()),
    )
    yield (
        "LSTM hard",
        sequential(keras, L.LSTM(8, recurrent_activation="hard_sigmoid", activation="elu"), head()),
    )
    yield "SimpleRNN linear", sequential(keras, L.SimpleRNN(4, activation="linear"), head())
    yield "cell", sequential(keras, L.RNN(L.GRUCell(8), return_sequences=True), head())
    for kind in ("SimpleRNN", "GRU", "LSTM"):
        make = getattr(L, kind)
        yield (
            f"masked {kind}",
            sequential(
                keras,
                L.Masking(0.5),
                L.Dense(6),
                make(8, return_sequences=True),
                L.Dropout(0.1),
                make(8),
                head(),
            ),
        )
    yield "masked frames", sequential(keras, L.Masking(0.0), L.GRU(8, return_sequences=True), head())

    def state(x):
        _, last = L.GRU(8, return_sequences=True, return_state=True)(x)
        return head()(last)

    masked = lambda x: L.GRU(8)(L.SimpleRNN(8, return_sequences=True)(L.Masking(0.5)(x)))  # noqa: E731
    yield "masked functional", functional(keras, lambda x: head()(masked(x)))
    yield "state returned", functional(keras, state)


def convolutional(keras):
    L = keras.layers
    head = lambda: L.Dense(C, activation="softmax")  # noqa: E731
    yield "Conv1D", sequential(
        keras, L.Rescaling(0.02), L.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu"),
        L.Conv1D(8, 3, padding="causal", strides=2, groups=2), L.Conv1D(8, 2), L.GRU(4), head(),
    )  # fmt: skip
    yield (
        "same in time",
        sequential(
            keras, L.Rescaling(0.02), L.Conv1D(8, 3, padding="same"), L.Conv1D(8, 4, padding="same"), head()
        ),
    )
    yield "SeparableConv1D", sequential(
        keras, L.ZeroPadding1D((2, 0)), L.SeparableConv1D(8, 3, depth_multiplier=2), L.ZeroPadding1D((2, 0)),
        L.DepthwiseConv1D(3, depth_multiplier=2, activation="relu"), head(),
    )  # fmt: skip
    yield "Conv2D", sequential(
        keras, L.Reshape((-1, F, 1)), L.ZeroPadding2D(((2, 0), (0, 0))), L.Conv2D(4, 3, padding="valid"),
        L.MaxPooling2D((1, 2)), L.DepthwiseConv2D((1, 3), padding="same"), L.SeparableConv2D(6, (1, 3), padding="same"),
        L.BatchNormalization(), L.ReLU(), L.AveragePooling2D((1, 2)), L.TimeDistributed(L.Flatten()), L.GRU(8), head(),
    )  # fmt: skip
    yield "image fixed", sequential(
        keras, L.Cropping2D(((2, 0), (1, 1))), L.Conv2D(4, (1, 3), strides=(1, 2), padding="same", activation="relu"),
        L.MaxPooling2D(2), L.Conv2D(4, (3, 2), activation="relu"), L.GlobalAveragePooling2D(), L.Dropout(0.3), head(),
        shape=(98, F, 1),
    )  # fmt: skip
    yield (
        "pooled",
        sequential(
            keras,
            L.Cropping1D((3, 0)),
            L.MaxPooling1D(2),
            L.AveragePooling1D(2),
            L.GlobalMaxPooling1D(),
            head(),
        ),
    )
    yield (
        "average keepdims",
        sequential(keras, L.Dense(5), L.GlobalAveragePooling1D(keepdims=True), L.Flatten(), head()),
    )

    def in_frame(x):
        y = L.Reshape((-1, F, 1))(x)
        y = L.TimeDistributed(L.Conv1D(4, 3, strides=2, activation="relu"))(y)
        y = L.TimeDistributed(L.GlobalMaxPooling1D())(y)
        return head()(L.TimeDistributed(L.Dense(6, activation="tanh"))(y))

    yield "in the frame", functional(keras, in_frame)
    yield "stacked frames", sequential(keras, L.Reshape((-1, 2 * F)), L.GRU(6), head())
    yield (
        "permuted",
        sequential(
            keras,
            L.Reshape((48, 3, 4)),
            L.Permute((1, 3, 2)),
            L.Reshape((48, F)),
            L.GRU(6),
            head(),
            shape=(48, F),
        ),
    )


def pointwise(keras):
    L = keras.layers
    names = [
        "linear",
        "relu",
        "relu6",
        "tanh",
        "sigmoid",
        "softplus",
        "softsign",
        "exponential",
        "elu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "hard_sigmoid",
    ]
    if keras.__version__ >= "3":
        names += ["celu", "hard_silu", "hard_tanh", "log_sigmoid", "tanh_shrink", "leaky_relu", "log_softmax"]

    def functions(x):
        parts = [L.Dense(2, activation=name)(x) for name in names]
        return L.Dense(C, activation="softmax")(L.Concatenate()(parts))

    yield "functions", functional(keras, functions)

    def layers(x):
        parts = [
            L.ReLU(max_value=1.5)(x),
            L.ReLU(negative_slope=0.1, threshold=0.2, max_value=2.0)(x),
            L.LeakyReLU()(x),
            L.LeakyReLU(0.1)(x),
            L.ELU(0.7)(x),
            L.PReLU(shared_axes=[1])(x),
            L.Softmax()(x),
            L.Activation("gelu")(x),
            L.Rescaling(0.5, -1.0)(x),
        ]
        y = L.Average()([*parts[:3], L.Maximum()(parts[3:5])])
        y = L.Subtract()([y, L.Multiply()(parts[5:7])])
        y = L.Add()([y, *parts[7:], L.Minimum()(parts[:2])])
        return L.Dense(C)(y)

    yield "layers", functional(keras, layers)
    norm = L.Normalization()
    import numpy

    norm.adapt(numpy.random.default_rng(5).normal(2.0, 3.0, (50, F)).astype("float32"))
    normal = [
        norm, L.BatchNormalization(), L.BatchNormalization(scale=False, center=False, epsilon=1e-2),
        L.LayerNormalization(), L.LayerNormalization(scale=False), L.UnitNormalization(),
    ]  # fmt: skip
    if keras.__version__ >= "3":
        normal += [L.LayerNormalization(rms_scaling=True), L.RMSNormalization()]
    noise = [
        L.GaussianNoise(0.1),
        L.SpatialDropout1D(0.1),
        L.GaussianDropout(0.1),
        L.ActivityRegularization(1e-3),
    ]
    yield "normalisations", sequential(keras, *normal, *noise, L.Dense(C, activation="sigmoid"))


def composed(keras):
    L = keras.layers

    def residual(x):
        y = L.Conv1D(F, 3, padding="causal", activation="relu", name="causal")(x)
        y = L.Add()([x, L.Dropout(0.1)(y)])
        shared = L.Dense(6, activation="tanh")
        left, right = shared(y), shared(L.Dense(F)(y))
        return L.Dense(C, activation="softmax")(L.LSTM(6)(L.Concatenate()([left, right])))

    yield "functional", functional(keras, residual)
    inner = functional(keras, lambda x: L.GRU(6, return_sequences=True)(L.Dense(8, activation="relu")(x)))
    outer = sequential(
        keras,
        L.Dense(F, activation="tanh"),
        inner,
        sequential(keras, L.Dense(5), shape=(None, 6)),
        L.Dense(C),
    )
    yield "nested", outer


def randomise(model, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    values = []
    for variable, array in zip(model.weights, model.get_weights(), strict=True):
        value = rng.normal(0, 0.4, array.shape)
        value = np.abs(value) + 0.3 if "variance" in variable.name else value
        values.append(np.round(16 * value) / 16 if array.dtype.kind == "f" else array)  # packs well
    model.set_weights(values)


def sound(model, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    shape = [2, *[n or FRAMES for n in model.input_shape[1:]]]
    x = rng.normal(0, 1, shape).astype("float32")
    for layer in model.layers:
        if type(layer).__name__ == "Masking":
            x[:, [0, 5, 6, 17]] = layer.mask_value
    return x


def loops(keras, folder):
    """(name, path of an ONNX file, network), by the two ways from TensorFlow to ONNX."""
    import tensorflow as tf
    import tf2onnx

    for frames in (None, FRAMES):
        for kind, settings in (("SimpleRNN", {}), ("GRU", {}), ("GRU", {"reset_after": False}), ("LSTM", {})):
            make = getattr(keras.layers, kind)
            model = functional(
                keras,
                lambda x: keras.layers.Dense(C, activation="softmax")(
                    make(5, **settings)(make(6, return_sequences=True, **settings)(x))  # noqa: B023
                ),
                shape=(frames, F),
            )
            randomise(model, 7)
            name = f"{kind}{' before' if settings else ''}{' fixed' if frames else ''}"
            path = folder / "model.onnx"
            if frames:
                call = tf.function(lambda x: model(x))  # noqa: B023
                signature = [tf.TensorSpec((None, frames, F), tf.float32)]
                tf2onnx.convert.from_function(call, signature, output_path=str(path))
                yield f"tf2onnx {name}", path, model
            else:
                model(sound(model, 3))
                model.export(str(path), format="onnx", verbose=False)
                yield f"keras {name}", path, model


def add(target: str, backend: str) -> None:
    """Add the ONNX files that Keras exports on another backend."""
    os.environ["KERAS_BACKEND"] = backend
    import keras
    import numpy as np

    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("SimpleRNN", "GRU", "LSTM"):
            for frames in (None, FRAMES):
                make = getattr(keras.layers, kind)
                layers = (
                    make(6, return_sequences=True),
                    make(5),
                    keras.layers.Dense(C, activation="softmax"),
                )
                model = sequential(keras, *layers, shape=(frames, F))
                randomise(model, 7)
                x = sound(model, 3)
                arrays, path = io.BytesIO(), Path(folder) / "model.onnx"
                np.savez(arrays, x=x, y=keras.ops.convert_to_numpy(model(x)))
                model.export(str(path), format="onnx", verbose=False)
                name = f"keras {backend} {kind}{' fixed' if frames else ''}"
                made[f"{name}.onnx"], made[f"{name}.npz"] = path.read_bytes(), arrays.getvalue()
    with tarfile.open(target) as stored:
        kept = {m.name: stored.extractfile(m).read() for m in stored.getmembers()}
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for name, content in {**kept, **made}.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))


def main(target: str) -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import numpy as np
    import tf_keras

    with tarfile.open(target, "w:xz", preset=9) as made, tempfile.TemporaryDirectory() as f:
        folder = Path(f)

        def keep(name, path, x, y):
            arrays = io.BytesIO()
            np.savez(arrays, x=x, y=y)
            for member, content in (
                (f"{name}{path.suffix}", path.read_bytes()),
                (f"{name}.npz", arrays.getvalue()),
            ):
                about = tarfile.TarInfo(member)
                about.size = len(content)
                made.addfile(about, io.BytesIO(content))

        families = (recurrent, convolutional, pointwise, composed)
        made_by = [(keras, "", family) for family in families]
        made_by += [(tf_keras, "keras 2 ", family) for family in (recurrent, pointwise, composed)]
        for library, dialect, family in made_by:
            for number, (name, model) in enumerate(family(library)):
                if library is tf_keras and name not in OLD:
                    continue
                randomise(model, number)
                x = sound(model, number)
                both = name != "nested" and (library is tf_keras or name == "two GRU")
                for suffix in (".keras", ".h5") if both else (".keras",):
                    path = folder / f"model{suffix}"
                    model.save(path)
                    y = np.asarray(library.models.load_model(path, compile=False)(x))
                    keep(f"{dialect}{name}{' h5' if suffix == '.h5' else ''}", path, x, y)
        for name, path, model in loops(keras, folder):
            x = sound(model, 3)
            keep(name, path, x, np.asarray(model(x)))


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) == 2 else add(sys.argv[1], sys.argv[2])
