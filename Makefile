# Names only: what they do is in scripts/ and xtask/. `make run PORT=8901`, `make run RUN_ONCE=1`.
.PHONY: run test check ui bench soak

run: ; @scripts/run
test: ; @scripts/test
check: ; @scripts/test check
ui: ; @scripts/test ui
bench: ; @scripts/test bench
soak: ; @scripts/soak $(ROUNDS)

export PORT RUN_ONCE DATA
