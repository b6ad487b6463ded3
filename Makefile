# All state lives under METEO_HOME (default ./data). `make help` lists what there is to make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export METEO_HOME ?= data
MACHINE = .venv/bin/python deploy/local/machine.py
PYTEST = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder
GROUPS = build ingest preprocessing train monitoring jobs_all api_model gateway streamlit_app mlflow airflow local dev

.PHONY: help setup setup-dev up down status logs test coverage test-fast mutation check format backtest ablation bench soak year fuzz image secrets logins load backup restore drill roll upgrade journey lock roles

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## make the environments from the hashed pins
	@deploy/local/setup.sh local

setup-dev:
	@deploy/local/setup.sh dev

up: setup ## everything on this machine; HISTORY=weatherAUS.csv[.gz] for real history, else demo data; OBSERVABILITY=1: Prometheus too
	@$(MACHINE) up --history "$(HISTORY)" --observability "$(OBSERVABILITY)"

down: ## stop everything; state stays
	@$(MACHINE) down

status: ## what runs, and how
	@$(MACHINE) status

logs: ## follow the logs; SERVICE=gateway for one
	@$(MACHINE) logs --service "$(SERVICE)"

test: setup-dev ## every test this machine can run; says what it skipped and why
	@$(PYTEST) $(ARGS)

coverage: setup-dev ## the same, counting which lines they run: fails below 90 %, and takes half as long again
	@$(PYTEST) --cov --cov-report=term:skip-covered $(ARGS)

test-fast: setup-dev ## the tests that need no server, no browser and no patience
	@$(PYTEST) -m "not slow" $(ARGS)

mutation: setup-dev ## put faults into the rules that matter, one at a time: fails where tests notice fewer than 85 %; [ONLY="train.promotion_gate*"]
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/mutmut run --max-children 2 $(ONLY) # a forked child of threads hangs
	.venv/bin/mutmut export-cicd-stats
	@.venv/bin/python -c 'import json, sys; s = json.load(open("mutants/mutmut-cicd-stats.json")); \
	  tried = s["killed"] + s["timeout"] + s["survived"] + s["no_tests"]; share = (s["killed"] + s["timeout"]) / tried; \
	  print(f"{share:.1%} of {tried} faults were noticed; mutmut results lists the others"); sys.exit(share < .85)'

check: setup-dev ## format, lint, types, imports, shell
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy src tests_unitaires deploy/local deploy/containers benchmarks
	.venv/bin/mypy deploy/load
	.venv/bin/lint-imports
	.venv/bin/shellcheck deploy/local/setup.sh deploy/containers/*.sh deploy/containers/compose .ci/run
	.venv/bin/shellcheck --shell=dash deploy/images/airflow-init deploy/images/tidy
	.venv/bin/hadolint deploy/images/Dockerfile
	PATH=$$PWD/.venv/bin:$$PATH ansible-lint --offline deploy/ansible
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab-ci.yml
	.venv/bin/check-jsonschema --schemafile deploy/helm/rain-tomorrow/values.schema.json deploy/helm/rain-tomorrow/values.yaml
	.venv/bin/zizmor --offline --quiet .github
	promtool check config --syntax-only deploy/observability/prometheus.yml
	promtool test rules deploy/observability/rules.test.yml deploy/observability/rules.days.test.yml
	amtool check-config deploy/observability/alertmanager.yml

format: setup-dev ## put the code into the project's form
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

define on_history # run a command of training on a store filled from HISTORY alone
@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
METEO_HOME=$$home .venv/bin/python -m ingest --source file --path "$(HISTORY)" && \
METEO_HOME=$$home .venv/bin/python -m train $(1) --train-end "$(TRAIN_END)" --test-start "$(TEST_START)" --test-end "$(TEST_END)"
endef

backtest: setup ## train on the past only: HISTORY=… TRAIN_END=… TEST_START=… TEST_END=… [TRAIN_START=…] [FIELDS=a,b,c] [NEIGHBOURS=stored|likewise|none] [WITHOUT=map,…] [PLOTS=folder]
	$(call on_history,backtest) $(if $(TRAIN_START),--train-start "$(TRAIN_START)") --fields "$(FIELDS)" --neighbours "$(or $(NEIGHBOURS),stored)" \
	  --without "$(WITHOUT)" $(if $(PLOTS),--plots "$(PLOTS)") --report "$(or $(REPORT),reports/backtest.json)"

ablation: setup ## what each group of features brings: HISTORY=… TRAIN_END=… TEST_START=… TEST_END=…
	$(call on_history,ablation)

bench: setup ## ratios against named rivals -> reports/bench.json: HISTORY=weatherAUS.csv.gz [ONLY=ingestion|serving|cost|door]
	@.venv/bin/python benchmarks --history "$(HISTORY)" --only "$(ONLY)"

soak: setup ## a mixed load on the running system, whose model API is killed meanwhile: [SECONDS=600] [USERS=200]
	@.venv/bin/python deploy/local/soak.py --seconds "$(or $(SECONDS),600)" --users "$(or $(USERS),200)"

year: setup ## a year of days without a hand on it, in minutes; fails when a store grows beyond its bound: [DAYS=365] [STATIONS=25]; needs a C compiler
	@.venv/bin/python deploy/local/simulated_time.py deploy/local/year.py --days "$(or $(DAYS),365)" $(if $(STATIONS),--stations "$(STATIONS)")

fuzz: setup-dev ## damaged bytes at the gateway's own protocol: [SECONDS=600]
	@FUZZ_SECONDS=$(or $(SECONDS),600) .venv/bin/pytest -q --show-capture=no tests_unitaires/gateway/test_http_protocol_fuzz.py

image: ## one service's image: GROUP=gateway IMAGE=name:tag
	docker build --file deploy/images/Dockerfile --build-arg GROUP=$(GROUP) --build-arg JOBS=$(if $(filter airflow,$(GROUP)),jobs_all) \
	  --build-arg REVISION=$$(git rev-parse HEAD) --tag "$(IMAGE)" .

secrets: ## what the containers need first, unless it is there: secrets/, tls/ with a certificate for HOST, .env
	python3 deploy/containers/make_secrets.py $(or $(HOST),localhost)

logins: ## the first accounts of the containers
	@deploy/containers/compose run --rm -T --no-deps accounts cat /data/credentials.json

load: ## more and more users on the containers, until it breaks: GATEWAY=https://host:8443; KIND=kill: each container is killed in turn; KIND=roll: all replicas are replaced
	@.venv/bin/python deploy/load $(or $(KIND),steps) "$(GATEWAY)" $(ARGS)

backup: ## everything the containers keep, while they run: TO=folder [KEEP=14]
	@deploy/containers/backup.sh "$(TO)" $(KEEP)

restore: ## the containers as they were at a backup; what they kept since is gone: FROM=folder
	@deploy/containers/restore.sh "$(FROM)"

drill: ## shut everybody out, back up TO=folder, destroy every volume, restore, compare each table and file by its hash
	@deploy/containers/drill.sh "$(TO)"

roll: ## replace both replicas of SERVICE=gateway|api-model, one after the other, without a failed request
	@deploy/containers/roll.sh "$(SERVICE)"

build: ## the containers' images, which then know the commit that is checked out
	REVISION=$$(git rev-parse HEAD) deploy/containers/compose build

roles: ## PostgreSQL's roles and their passwords for the containers that run, as `make secrets` made them
	deploy/containers/compose up -d postgres
	until deploy/containers/compose exec -T postgres pg_isready -q -h 127.0.0.1 -U meteo; do sleep 1; done
	deploy/containers/compose exec -T postgres psql -X -q -U meteo -d meteo -f /docker-entrypoint-initdb.d/databases.sql
	deploy/containers/compose run --rm -T --no-deps accounts python -m gateway migrate

upgrade: ## the containers to the version that is checked out, without a failed request; starts them where none run
	$(MAKE) build
	@[ -z "$$(deploy/containers/compose ps -q postgres)" ] || $(MAKE) roles
	$(MAKE) roll SERVICE=api-model
	$(MAKE) roll SERVICE=gateway
	deploy/containers/compose up -d

journey: ## a forecast and every pipeline of the containers, through the GATEWAY
	@$(MAKE) --silent logins | .venv/bin/python deploy/local/journey.py $(GATEWAY) --certificate tls/tls.crt

lock: setup ## take the newest allowed versions and write requirements/
	.venv-tools/bin/uv lock --upgrade
	@for group in $(GROUPS); do \
	  .venv-tools/bin/uv export --quiet --frozen --only-group $$group --no-emit-project --no-emit-index-url \
	    --no-header --output-file requirements/$$group.txt > /dev/null; done
