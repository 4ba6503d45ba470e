# The crash copy of a stopped member's data: found wherever etcd would find it, whole, and never left out in
# silence.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() {
  start_master
  HOME_DIR=$BASE/var
  COPY=$(state)/backup/rollout-7/data
  mkdir -p "${COPY%/data}" "$HOME_DIR/m-1.etcd/member"/{snap,wal}
  printf database >"$HOME_DIR/m-1.etcd/member/snap/db"
  printf log >"$HOME_DIR/m-1.etcd/member/wal/0.wal"
  unit WorkingDirectory "!$HOME_DIR/"
}
teardown() { stop_master; }

# unit PROPERTY LINES...: of etcd's unit, as systemd prints it
unit() {
  local -r property=$1
  shift
  printf "$property=%s\n" "$@" >"$FAKE/unit/$property"
}

# starts_with WORDS: the command of etcd's unit
starts_with() {
  unit ExecStart \
    "{ path=/usr/bin/etcd ; argv[]=/usr/bin/etcd $1 ; ignore_errors=no ; start_time=[n/a] ; pid=0 }"
}

# expect_copied [ASSIGNMENTS]: the member's database and its log; gone again afterwards
expect_copied() {
  call copy_stopped_data "${1:-}"
  [ "$(<"$COPY/member/snap/db")" = database ]
  [ "$(<"$COPY/member/wal/0.wal")" = log ]
  rm -rf "$COPY"
}

# expect_refused TEXT [ASSIGNMENTS]: nothing is copied, and the step ends
expect_refused() {
  run call copy_stopped_data "${2:-}"
  [ "$status" = 3 ]
  case $output in *"$1"*'nothing was started'*) ;; *) printf '%s\n' "$output" && return 1 ;; esac
  [ ! -e "$COPY" ]
}

@test "it is found by a flag in any form, with the variables of the unit filled in" {
  local form
  unit Environment 'DATA=m-1.etcd OTHER=1'
  for form in --data-dir=m-1.etcd '-data-dir=m-1.etcd' '--data-dir m-1.etcd' \
    "--data-dir $HOME_DIR/m-1.etcd" '--data-dir=${DATA} --debug' \
    '-data-dir $DATA' '--data-dir="${DATA}"'; do
    printf 'form %s\n' "$form"
    starts_with "--client-cert-auth $form"
    expect_copied
  done
}

@test "it is found by a variable of etcd's own, of which the last file's counts, and by the member's name" {
  starts_with '--client-cert-auth'
  unit Environment 'ETCD_DATA_DIR=elsewhere'
  unit EnvironmentFiles "$BASE/first (ignore_errors=no)" "$BASE/second (ignore_errors=yes)"
  printf 'ETCD_DATA_DIR=another\n' >"$BASE/first"
  printf '# ETCD_DATA_DIR=nowhere\nETCD_DATA_DIR="m-1.etcd"\n' >"$BASE/second"
  expect_copied
  # as systemd 219 says it
  sed -i 's/^EnvironmentFiles=/EnvironmentFile=/' "$FAKE/unit/EnvironmentFiles"
  expect_copied
  unit Environment ''
  printf 'ETCD_NAME=m-1\n' >"$BASE/first"
  rm "$BASE/second"
  expect_copied
  starts_with '--name m-1'
  expect_copied
  mv "$HOME_DIR/m-1.etcd" "$HOME_DIR/default.etcd"
  rm "$BASE/first"
  starts_with ''
  expect_copied
}

@test "a configuration file stands alone" {
  printf '%s\n' '# data-dir: no' "name: 'm-1'" wal-dir: client-transport-security: '  cert-file: x' \
    >"$BASE/etcd.yml"
  starts_with "--config-file=$BASE/etcd.yml --data-dir=/nowhere"
  expect_copied
  printf 'data-dir: "m-1.etcd" # the old place\n' >"$BASE/etcd.yml"
  unit Environment "ETCD_CONFIG_FILE=$BASE/etcd.yml" 
  starts_with ''
  expect_copied
  unit Environment ''
  starts_with "--config-file=$BASE/missing.yml"
  expect_refused "$BASE/missing.yml"
}

@test "a static pod's flags are found in a block, in a list and in two items" {
  local pod="ETCD_UNIT= ETCD_MANIFEST='$BASE/etcd.yaml'"
  printf '    - --data-dir=%s\n    - --name=a\n' "$HOME_DIR/m-1.etcd" >"$BASE/etcd.yaml"
  expect_copied "$pod"
  printf '    - --data-dir\n    - "%s"\n    image: x\n' "$HOME_DIR/m-1.etcd" >"$BASE/etcd.yaml"
  expect_copied "$pod"
  printf '    command: [etcd, "--initial-cluster=a=1,b=2", "--data-dir=%s"]\n' "$HOME_DIR/m-1.etcd" \
    >"$BASE/etcd.yaml"
  expect_copied "$pod"
  printf '    command: ["etcd","--data-dir=%s"]\n' "$HOME_DIR/m-1.etcd" >"$BASE/etcd.yaml"
  expect_copied "$pod"
}

@test "a write-ahead log of its own is in the copy, in its usual place, and so is what lies behind links" {
  mv "$HOME_DIR/m-1.etcd/member/wal" "$BASE/log"
  mkdir "$HOME_DIR/m-1.etcd/member/wal"
  printf old >"$HOME_DIR/m-1.etcd/member/wal/0.wal"
  unit Environment "ETCD_WAL_DIR=$BASE/log"
  starts_with '--data-dir m-1.etcd'
  expect_copied
  rm -r "$HOME_DIR/m-1.etcd/member/wal"
  ln -s "$BASE/log" "$HOME_DIR/m-1.etcd/member/wal"
  mv "$HOME_DIR/m-1.etcd" "$BASE/disk"
  ln -s "$BASE/disk" "$HOME_DIR/m-1.etcd"
  unit Environment ''
  expect_copied
}

@test "a second copy is made when the member has run since, and not else" {
  starts_with '--data-dir=m-1.etcd --wal-dir=log'
  mv "$HOME_DIR/m-1.etcd/member/wal" "$HOME_DIR/log"
  mkdir -p "${COPY%7/data}6"
  call copy_stopped_data ROLLOUT=6
  [ -e "${COPY%7/data}6/data" ]
  call copy_stopped_data
  [ ! -e "$COPY" ]
  # only its log has changed
  printf log >"$HOME_DIR/log/0.wal"
  expect_copied
}

@test "what is not known is refused, in backup already: before anything is changed or started" {
  starts_with '--data-dir ${NOWHERE}'
  expect_refused "$HOME_DIR/"'${NOWHERE}'
  starts_with '--data-dir=m-1.etcd --wal-dir=/nowhere/log'
  expect_refused /nowhere/log
  kill_component etcd
  step 'PHASE=backup OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)'
  expect_code 3
  expect_says /nowhere/log
  [ ! -e "$(state)/receipt.new" ]
  [ ! -e "${COPY%/data}/manifest" ]
}
