"""The workbench of voxbox: the `voxbox` command and one folder per verb."""
