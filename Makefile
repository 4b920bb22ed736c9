# voxbox from a clone: `make demo`, `make test`. `make` alone lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# What the ROS wheels of another environment set would lead this one to that one's libraries.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-lidar demo-voxels test lint colcon lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

setup:  ## make .venv with everything voxbox needs, ROS 2 included (again: at once)
	@$(PYTHON) scripts/setup_venv.py

demo: setup  ## replay a drive into the node: BAG=path OUT=out/demo SYSTEM=km3d ARGS="more options"
	@$(BIN)/voxbox demo $(if $(BAG),"$(BAG)") $(if $(SYSTEM),--system "$(SYSTEM)") $(if $(OUT),--out "$(OUT)") $(ARGS)

demo-lidar: SYSTEM = point_detr3d
demo-lidar: OUT = out/demo-lidar
demo-lidar: demo  ## the same with SYSTEM=point_detr3d and OUT=out/demo-lidar: a LiDAR, cameras, and clicks

demo-voxels: SYSTEM = ssz
demo-voxels: OUT = out/demo-voxels
demo-voxels: demo  ## the same with SYSTEM=ssz and OUT=out/demo-voxels: an image as voxels, and the free ground

# No worker that has crashed is replaced: xdist 3.8 would wait for the new one forever (pytest-dev/pytest-xdist#1323).
# The slowest test takes half a minute on an idle machine; a thread ends one that hangs in C, too, with its worker.
test: lint  ## ruff, mypy and pytest: ARGS="-k node"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0 --timeout 600 --timeout-method thread $(ARGS)

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

colcon: setup  ## colcon build and colcon test, as on a ROS 2 machine, into build/ and install/
	. $(BIN)/activate && colcon build --packages-select voxbox && colcon test --packages-select voxbox && colcon test-result --verbose

lock: setup  ## resolve requirements/*.txt into constraints.txt; pins that are there stay: ARGS="--upgrade-package numpy"
	$(BIN)/pip install --quiet uv==0.13.8
	cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-annotate \
	  --custom-compile-command "make lock" run.txt dev.txt ros.txt build.txt -o constraints.txt $(ARGS)

clean:  ## remove what setup, tests and colcon made
	rm -rf $(VENV) build install log .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
