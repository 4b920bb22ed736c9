"""`voxbox evaluate`: how good a model, or a folder of detections, is.

command.py is the command line; km3d.py and detections.py are its two ways. sources.py gives frames with truth and
detect.py runs a detector over them; result_files.py reads what others wrote. report.py, table.py and figures.py show
the scores.
"""
