# Processes of the control plane, told apart by boot id, pid and start ticks (a pid alone is reused).

# boot_id: of this boot
boot_id() {
  local id
  IFS= read -r id </proc/sys/kernel/random/boot_id
  printf '%s' "$id"
}

# start_ticks PID: clock ticks from boot to its start, field 22 of /proc/PID/stat (proc(5))
start_ticks() {
  local stat n
  { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  stat=${stat##*) }
  for n in {3..21}; do stat=${stat#* }; done
  printf '%s' "${stat%% *}"
}

# start_epoch TICKS: seconds since 1970, rounded down
start_epoch() {
  local btime
  btime=$(awk '$1 == "btime" { print $2 }' /proc/stat)
  printf '%s' "$((btime + $1 / $(getconf CLK_TCK)))"
}

# pid_of COMPONENT: its process on this master, or nothing
pid_of() {
  case $1 in
    etcd) if is_etcd_unit; then unit_pid "$ETCD_UNIT"; else host_pid_named etcd; fi ;;
    kubelet) unit_pid "$KUBELET_UNIT" ;;
    # of a name the kernel keeps 15 characters
    *) host_pid_named "$1" ;;
  esac
}

# argument_of PID FLAG: what that process was given, as FLAG=VALUE or FLAG VALUE; one line, whatever it holds
argument_of() {
  local word is_next=''
  { while IFS= read -r -d '' word; do
    word=${word%%$'\n'*}
    [ -z "$is_next" ] || { printf '%s' "$word" && return; }
    case $word in
      "$2"=* | "${2#-}"=*) printf '%s' "${word#*=}" && return ;;
      "$2" | "${2#-}") is_next=1 ;;
    esac
  done <"/proc/$1/cmdline"; } 2>/dev/null
}

# path_in FILE FIELD: the path that a field of YAML or JSON names; a relative one is beside FILE
path_in() {
  local path
  path=$(awk -v field="$2" '!/^ *#/ && match($0, field "[\"\047]?: *") {
    value = substr($0, RSTART + RLENGTH); quote = substr(value, 1, 1)
    if (quote == "\"" || quote == "\047") {
      value = substr(value, 2); value = substr(value, 1, index(value, quote) - 1)
    } else {
      sub(/[,}].*$/, "", value); sub(/[ \t]+#.*$/, "", value); sub(/[ \t\r]+$/, "", value)
    }
    print value; exit
  }' "$1")
  case $path in '' | /*) ;; *) path=$(dirname "$1")/$path ;; esac
  printf '%s' "$path"
}

# is_etcd_unit: etcd is a unit of systemd; else a static pod of the kubelet
is_etcd_unit() {
  [ -n "$ETCD_UNIT" ]
}

# etcd_logs: where etcd's words are, to go after "See"
etcd_logs() {
  if is_etcd_unit; then printf 'journalctl -u %s' "$ETCD_UNIT" && return; fi
  printf '/var/log/pods/kube-system_etcd-*/etcd'
}

# unit_pid UNIT: its main process, or nothing
unit_pid() {
  local line=''
  IFS= read -r line < <(systemctl show -p MainPID "$1" 2>/dev/null) || :
  case ${line#*=} in '' | 0) ;; *) printf '%s' "${line#*=}" ;; esac
}

# etcd_user: the name of the user that etcd runs as; a unit may give a number. Nothing for an unknown user.
etcd_user() {
  local user
  if is_etcd_unit; then
    user=$(systemctl show -p User "$ETCD_UNIT" 2>/dev/null | cut -d = -f 2)
  else
    user=$(stat -c %u "/proc/$(pid_of etcd)" 2>/dev/null || :)
  fi
  getent passwd "${user:-root}" 2>/dev/null | cut -d : -f 1 || :
}

# host_pid_named COMM: a process of that name in the master's own network, in a container or not
# (a pod of the same name in its own network, such as a nested cluster's, is somebody else's)
host_pid_named() {
  local dir own comm program
  own=$(readlink /proc/self/ns/net)
  for dir in /proc/[0-9]*; do
    # a builtin: there are hundreds of processes, and this is asked again and again while one starts
    { IFS= read -r comm <"$dir/comm"; } 2>/dev/null || continue
    [ "$comm" = "${1:0:15}" ] || continue
    # kube-controllers looks like kube-controller-manager there
    if [ "${#1}" -gt 15 ]; then
      { IFS= read -r -d '' program <"$dir/cmdline" || :; } 2>/dev/null
      [ "${program##*/}" = "$1" ] || continue
    fi
    [ "$(readlink "$dir/ns/net" 2>/dev/null)" = "$own" ] || continue
    printf '%s' "${dir#/proc/}"
    return 0
  done
}

# is_expected COMPONENT: etcd and kube-apiserver have to run, the others may
is_expected() {
  case $1 in etcd | kube-apiserver) ;; *) [ -n "$(identity "$1")" ] ;; esac
}

# is_out COMPONENT [ADDRESS]: it did not work when the run was planned; start_what_is_out starts it
is_out() {
  case " ${OUT_COMPONENTS[*]-} " in *" $1@${2:-$ADDRESS} "*) ;; *) return 1 ;; esac
}

# is_any_member_left: there is one that is not out
is_any_member_left() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do is_out etcd "$address" || return 0; done
  return 1
}

# identity COMPONENT: "BOOT PID TICKS" of its process, or nothing
identity() {
  local pid ticks
  pid=$(pid_of "$1")
  [ -n "$pid" ] || return 0
  ticks=$(start_ticks "$pid") || return 0
  printf '%s %s %s' "$(boot_id)" "$pid" "$ticks"
}

# has_new_process COMPONENT OLD: true once a process other than OLD (an identity) runs
has_new_process() {
  local now
  now=$(identity "$1")
  [ -n "$now" ] && [ "$now" != "$2" ]
}
