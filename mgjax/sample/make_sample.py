"""Makes the sample beside this file; runs under TensorFlow 1.15 (Python 3.7): `python make_sample.py`.

Draws digits of 8 by 8 pixels, trains a small convolutional network on them, and leaves what a TF1 user leaves behind:
`digits-1500.meta`, `.index`, `.data-00000-of-00001` and `checkpoint`. Beside them `digits.npz`, the data to go on with, and
`recorded.json`, what TensorFlow computed from the checkpoint: probabilities, accuracy, and the losses of the next steps.
"""

import json
import os

import numpy as np
import tensorflow.compat.v1 as tf

STEPS, MORE_STEPS, BATCH = 1500, 20, 32
FOLDER = os.path.dirname(os.path.abspath(__file__))
GLYPHS = """
### .#. ### ### #.# ### ### ### ### ###
#.# ##. ..# ..# #.# #.. #.. ..# #.# #.#
#.# .#. ### .## ### ### ### .#. ### ###
#.# .#. #.. ..# ..# ..# #.# .#. #.# ..#
### ### ### ### ..# ### ### .#. ### ###
"""


def draw(random, count):
    """`count` pictures, uint8[count, 8, 8] of levels 0 to 15, and their digits: a glyph at a random place, faded and noisy."""
    rows = [line.split() for line in GLYPHS.split("\n") if line]
    labels = random.randint(0, 10, count)
    images = np.zeros((count, 8, 8), np.uint8)
    for image, digit in zip(images, labels):
        glyph = np.array([[pixel == "#" for pixel in row[digit]] for row in rows])
        glyph = glyph.repeat(random.randint(1, 3), axis=1)
        top, left = random.randint(0, 4), random.randint(0, 9 - glyph.shape[1])
        strength = random.randint(6, 13)
        image[top : top + 5, left : left + glyph.shape[1]] = strength * glyph
        image += random.randint(0, 4, (8, 8)).astype(np.uint8)
    return images, labels


def build():
    x = tf.placeholder(tf.float32, [None, 8, 8], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    hidden = tf.expand_dims(x / 16.0, -1)
    for number, channels in enumerate([8, 16], 1):
        with tf.variable_scope(f"conv{number}"):
            kernel = tf.get_variable("kernel", [3, 3, hidden.shape[-1], channels])
            bias = tf.get_variable("bias", [channels], initializer=tf.zeros_initializer())
            hidden = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(hidden, kernel, [1, 1, 1, 1], "SAME"), bias))
            hidden = tf.nn.max_pool(hidden, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    with tf.variable_scope("dense"):
        flat = tf.reshape(hidden, [-1, 64])
        kernel = tf.get_variable("kernel", [64, 10])
        bias = tf.get_variable("bias", [10], initializer=tf.zeros_initializer())
        logits = tf.nn.bias_add(tf.matmul(flat, kernel), bias, name="logits")
    tf.nn.softmax(logits, name="probs")
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    tf.identity(loss, name="loss")
    tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32), name="accuracy")
    step = tf.train.get_or_create_global_step()
    tf.add_to_collection("train_op", tf.train.AdamOptimizer(0.003).minimize(loss, step, name="train_op"))


def main():
    os.chdir(FOLDER)
    random = np.random.RandomState(0)
    tf.set_random_seed(0)
    build()
    saver = tf.train.Saver()
    names = ["probs:0", "accuracy:0"]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(STEPS):
            images, labels = draw(random, BATCH)
            session.run("train_op", {"x:0": images, "y:0": labels})
        prefix = saver.save(session, "./digits", global_step=tf.train.get_global_step())
        images, labels = draw(random, 10 * BATCH)
        probs, accuracy = session.run(names, {"x:0": images, "y:0": labels})
        losses = []
        for number in range(MORE_STEPS):
            batch = np.arange(number * BATCH, (number + 1) * BATCH) % len(images)
            feeds = {"x:0": images[batch], "y:0": labels[batch]}
            losses.append(session.run(["loss:0", "train_op"], feeds)[0])
        recorded = {
            "writer": "tensorflow " + tf.__version__,
            "prefix": os.path.basename(prefix),
            "batch": BATCH,
            "probs_of_first": [float(p) for p in probs[0]],
            "accuracy": float(accuracy),
            "losses": [float(loss) for loss in losses],
            "accuracy_after": float(session.run("accuracy:0", {"x:0": images, "y:0": labels})),
        }
    np.savez_compressed("digits.npz", images=images, labels=labels.astype(np.int64))
    with open("recorded.json", "w") as out:
        json.dump(recorded, out, indent=1)
        out.write("\n")
    print(json.dumps(recorded, indent=1))


if __name__ == "__main__":
    main()
