# Functions shared by the scripts that start and stop a lab on this machine. Sourced, not run.
# shellcheck shell=bash

# started PID: when the process started, in clock ticks since the machine did. Fails when there is no such
# process.
started() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086  # the fields from the third on; the start time is the 22nd
  set -- $stat
  printf '%s\n' "${20}"
}

# note PID FILE: notes a process so that it can be told from a later one with the same number, also after a
# reboot.
note() {
  local start boot
  start=$(started "$1")
  read -r boot </proc/sys/kernel/random/boot_id
  printf '%s %s %s\n' "$1" "$start" "$boot" >"$2.tmp"
  mv "$2.tmp" "$2"
}

# noted FILE: prints the pid in the file if that very process still runs; fails otherwise.
noted() {
  local pid start boot now
  [ -f "$1" ] || return 1
  read -r pid start boot <"$1" || return 1
  read -r now </proc/sys/kernel/random/boot_id
  [ "$boot" = "$now" ] && [ "$(started "$pid" || true)" = "$start" ] || return 1
  printf '%s\n' "$pid"
}

# cgroup_folders NAME: the cgroup called NAME in each hierarchy; none where systemd makes them (version 2).
cgroup_folders() {
  local hierarchy
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    [ -d /run/systemd/system ] || printf '%s\n' "/sys/fs/cgroup/$1"
    return 0
  fi
  for hierarchy in /sys/fs/cgroup/*; do
    [ -L "$hierarchy" ] || ! mountpoint -q "$hierarchy" || printf '%s\n' "$hierarchy/$1"
  done
}

# switch_namespace LAB, master_namespace LAB MASTER: names of network namespaces.
switch_namespace() { printf 'etcd-lab.%s\n' "$1"; }
master_namespace() { printf 'etcd-lab.%s.%s\n' "$1" "$2"; }
