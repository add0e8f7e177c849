"""stream-classify review: a person says which of the kept clips are right.

verdicts    what was said, in a file beside the clips that train, teach and calibrate read
waiting     which clips are still to be judged
session     keys to verdicts
drawing     what is on the screen: the sound, the question, the keys
player      the sound itself, where there is a loudspeaker
desk        keeps the screen, the keys and the loudspeaker together
"""
