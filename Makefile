# A short front for Meson and the scripts: `make help` says what there is. Packages: scripts/install-deps. Checks: scripts/check.
.PHONY: help build demo check check-long bench bench-growth bench-index bench-models bench-nn bench-recommend fuzz lint format install clean deps

PREFIX ?= /usr/local
MESON_OPTIONS = -Dtests=false --prefix=$(PREFIX) $(if $(CI),-Dwerror=true)
FUZZ_SECONDS ?= 60

help:
	@echo 'make demo        install what is missing, build, and do the main job on a sample catalogue'
	@echo 'make check       install what is missing, build with sanitizers, run all tests and the lint'
	@echo 'make build       an optimised build/medley'
	@echo 'make check-long  check, and the long trials: clang, TSan, kill -9, the bars on real data'
	@echo 'make bench       the benchmarks'
	@echo 'make bench-index the vector index; with PEERS=python VECTORS=folder beside hnswlib, FAISS and usearch'
	@echo 'make bench-models all recommenders on the real click and rating data, beside the bars'
	@echo 'make bench-nn    networks; with PEERS=python beside PyTorch and ONNX Runtime'
	@echo 'make bench-recommend  recommenders alone; with PEERS=python EVENTS=file beside implicit and PyTorch'
	@echo 'make bench-growth  cost of each recommender from 10⁴ to 10⁶ items and 10⁶ to 10⁸ events'
	@echo 'make fuzz        every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) (needs clang)'
	@echo 'make lint        formatting, floors, headers, registered members (make format: applies the format)'
	@echo 'make install     into PREFIX=$(PREFIX), under DESTDIR when given'
	@echo 'make clean       removes all build folders'

deps:
	@scripts/install-deps build

build: deps
	@[ -f build/build.ninja ] || meson setup build $(MESON_OPTIONS) > /dev/null
	@ninja -C build --quiet

demo: build
	@scripts/demo

check:
	@scripts/install-deps check
	@scripts/check

check-long:
	@scripts/install-deps check
	@scripts/check --long

bench: deps
	@[ -f build-bench/build.ninja ] || meson setup build-bench -Dtests=false -Dbench=true > /dev/null
	@meson test -C build-bench --benchmark --verbose --num-processes 1

# The peers live outside: PEERS is a Python that can import them, VECTORS holds NAME_base.npy and NAME_query.npy (bench/index_peers.py).
bench-index: deps
	@[ -f build-bench/build.ninja ] || meson setup build-bench -Dtests=false -Dbench=true > /dev/null
	@ninja -C build-bench --quiet bench/bench_index
	@$(if $(PEERS),$(PEERS) bench/index_peers.py --ours build-bench/bench/bench_index --vectors $(VECTORS) $(ARGS),build-bench/bench/bench_index)

# ARGS: options of bench/bench_models.py, e.g. ARGS='--sets tiktok,baby --seeds 1'. Needs ../shared/data; hours with all models.
bench-models: build
	@bench/bench_models.py $(ARGS)

# PEERS is a Python with implicit or torch, EVENTS a file of events (bench/recommend_peers.py); ARGS: options of that, e.g. ARGS='--works sasrec'.
bench-recommend: deps
	@[ -f build-bench/build.ninja ] || meson setup build-bench -Dtests=false -Dbench=true > /dev/null
	@ninja -C build-bench --quiet bench/bench_recommend
	@$(if $(PEERS),$(PEERS) bench/recommend_peers.py --ours build-bench/bench/bench_recommend --events $(EVENTS) $(ARGS),build-bench/bench/bench_recommend $(ARGS))

# Takes as long as --minutes says; OUTPUT.md and OUTPUT.svg are written. ARGS: options of --grow in bench/bench_recommend.c, models among them.
OUTPUT ?= growth
bench-growth: deps
	@[ -f build-bench/build.ninja ] || meson setup build-bench -Dtests=false -Dbench=true > /dev/null
	@ninja -C build-bench --quiet bench/bench_recommend
	@build-bench/bench/bench_recommend --grow --output $(OUTPUT) $(ARGS)

# PEERS is a Python with torch (bench/nn_peers.py); ARGS: options of that, e.g. ARGS='--works gru,lstm'.
bench-nn: deps
	@[ -f build-bench/build.ninja ] || meson setup build-bench -Dtests=false -Dbench=true > /dev/null
	@ninja -C build-bench --quiet bench/bench_nn
	@$(if $(PEERS),$(PEERS) bench/nn_peers.py --ours build-bench/bench/bench_nn $(ARGS),build-bench/bench/bench_nn $(ARGS))

fuzz:
	@scripts/install-deps check
	@scripts/check --only fuzz --fuzz-seconds $(FUZZ_SECONDS)

lint:
	@scripts/lint

format:
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

install: build
	@meson configure build --prefix=$(PREFIX)
	@meson install -C build $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	@rm -rf build build-*/
