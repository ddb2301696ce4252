"""The text of `ssl-jax --help`, for terminals of 80 columns."""

from ssl_jax import __version__

USAGE = f"""ssl-jax {__version__}: self-supervised learning in JAX

  ssl-jax pretrain METHOD [--recipe NAME]  pre-train, evaluate, write a report
  ssl-jax pretrain FILE.py:NAME         a recipe of your own, see docs/extend.md
  ssl-jax pretrain --from RUN/run.json  repeat a run
  ssl-jax plan METHOD [--recipe NAME]   memory, time and cost of a run on TPUs
  ssl-jax evaluate RUN                  evaluate again, on its own or other data
  ssl-jax finetune RUN                  train encoder and classifier on labels
  ssl-jax classify RUN IMAGES...        classes of images, with probabilities
  ssl-jax embed RUN [DATA] --output FILE
                                        features to FILE.parquet, .csv or .npy
  ssl-jax neighbors RUN QUERY [DATA]    the images nearest to an image
  ssl-jax export RUN --layout NAME --output FILE
                                        encoder for timm, torchvision or
                                        transformers
  ssl-jax import FILE --encoder NAME    a run of weights of a library or of a
                                        method's authors
  ssl-jax report RUN                    write RUN/report.html again
  ssl-jax sweep METHOD --OPTION VALUE VALUE ...
                                        runs for all combinations of options
  ssl-jax watch RUN                     follow a run in the terminal
  ssl-jax compare RUN...                runs in one table and one page
  ssl-jax data prepare NAME             a data set: emoji, tfds:NAME, cifar10
  ssl-jax doctor [RUN]                  what is installed; or what a run lacks
  ssl-jax list                          methods, their recipes, encoders, data

To start: ssl-jax pretrain simclr
Options of a command: ssl-jax pretrain simclr --help
Completion: eval "$(ssl-jax --print-completion bash)" in ~/.bashrc, or zsh
in ~/.zshrc"""
