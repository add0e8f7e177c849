"""Recorded sessions heard again: the same results from the same sound, and the reasons behind them."""
