"""Which seeds are for what. Frozen: a number measured on some seeds means nothing on others."""

TRAINING = range(100_000)
"""Scenes to learn from: `voxbox street render OUT --frames N --seed 0`."""

VALIDATION = range(1_000_000, 1_000_500)
"""Scenes never trained on, one frame each: `voxbox street render OUT --frames 500 --seed 1000000`."""

DEMO = 2_000_049
"""The scene of the shipped drive, ten seconds of it:
`voxbox street render voxbox/demo/street_drive.mcap --format mcap --drive --frames 100 --seed 2000049 --beams 16
--columns 200`. What fills the space before its camera, at every fifth frame, is beside it (without its tables):
`voxbox street voxels voxbox/demo/street_drive.voxels --drive --frames 20 --rate 2 --seed 2000049 --width 207
--height 63`."""

RIG_DEMO = 2_000_056
"""The scene of the shipped drive of a LiDAR and two cameras, eight seconds of it:
`voxbox street rig voxbox/demo/street_rig_drive.mcap --format mcap --drive --frames 40 --rate 5 --seed 2000056
--cameras 2 --width 480 --height 176 --beams 32 --columns 450 --usual`."""
