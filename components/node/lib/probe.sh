# What a client notices while an update is at work: twice a second a write with a read through this master's
# own etcd, as its kube-apiserver would do them, and /readyz of that one. Nothing waits for it or fails with
# it. $STATE_DIR/probe is there while it runs: a line for each try (its begin and end in seconds since the
# boot, of whom, the HTTP status, 000 without an answer), and "step" where a step begins to count anew.

# probe: until stdin ends, as it does with the claim; from when backup says so, since an update that changes
# nothing needs none
probe() {
  export LC_ALL=C SSL_CERT_FILE=/nonexistent SSL_CERT_DIR=/nonexistent
  trap '' PIPE HUP
  rm -f "$STATE_DIR/probe"
  exec 7>>"$STATE_DIR/probe" || return 0
  until [ -s "$STATE_DIR/probe" ]; do pause || break; done
  if [ -s "$STATE_DIR/probe" ]; then
    probe_target kube-apiserver <&0 &
    probe_target etcd
    while pause; do :; done
    wait
  fi
  # unless it is the next run's already
  [ ! "$STATE_DIR/probe" -ef /proc/self/fd/7 ] || rm -f "$STATE_DIR/probe"
}

# pause: half a second without a process; false when stdin has ended
pause() {
  local code=0
  IFS= read -r -t 0.5 _ || code=$?
  [ "$code" -gt 128 ]
}

# probe_target TARGET: at most 20000 tries, some three hours; none after a first answer that it may not
probe_target() {
  local -r target=$1
  local key='' began ended tries=0 answered='' refused='' request
  LINKED=''
  if [ "$target" = etcd ]; then
    key='"key":"'$(printf '/etcd-rotation/probe/%s' "$MASTER" | base64 | tr -d '\n')'"'
    etcd_request txn '{"success":[{"requestPut":{'"$key"',"value":"MA=="}},{"requestRange":{'"$key"'}}]}'
  else
    printf -v request 'GET /readyz HTTP/1.1\r\nHost: %s\r\n\r\n' "$(host_port "$ADDRESS" "$API_PORT")"
  fi
  while [ "$tries" -lt 20000 ]; do
    tries=$((tries + 1))
    read -r began _ </proc/uptime
    ask "$target" "$request"
    read -r ended _ </proc/uptime
    printf '%s %s %s %s\n' "$began" "$ended" "$target" "$STATUS" >&7
    case $answered$STATUS in
      200) answered=1 ;;
      400 | 401 | 403 | 404) [ "$target$STATUS" = kube-apiserver401 ] || refused=1 ;;
    esac
    [ -z "$refused" ] && pause || break
  done
  # one that had no answer in time may have been written
  if [ -z "$refused" ] && [ -n "$key" ]; then
    etcd_request deleterange "{$key}"
    ask etcd "$request"
  fi
  unlink_target
}

# etcd_request NAME JSON: sets request: etcd's own JSON for its gRPC, since 3.4
etcd_request() {
  printf -v request 'POST /v3/kv/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\n\r\n%s' \
    "$1" "$(host_port "$ADDRESS" "$ETCD_CLIENT_PORT")" "${#2}" "$2"
}

# ask TARGET REQUEST: sets STATUS. Over the connection that there is; where that turns out to be cut, over a
# new one.
ask() {
  local is_new=''
  if [ -z "$LINKED" ]; then
    link_target "$1"
    is_new=1
  fi
  exchange "$2"
  if [ "$STATUS" = cut ] && [ -z "$is_new" ]; then
    link_target "$1"
    exchange "$2"
  fi
  [ "$STATUS" != cut ] || STATUS=000
  # an answer that comes late must not be taken for the next one's
  [ "$STATUS" != 000 ] || unlink_target
}

# exchange REQUEST: sets STATUS: cut where the connection is, 000 without an answer in three seconds
exchange() {
  local -r deadline=$((SECONDS + 3))
  local line code=0
  STATUS='cut'
  printf '%s' "$1" >&6 || return 0
  while [ "$SECONDS" -le "$deadline" ]; do
    IFS= read -r -t 3 line <&5 || code=$?
    # what is left of the answer before, which need not end with its line, may stand in front
    case $line in
      *HTTP/1.1\ [1-5][0-9][0-9]\ *)
        line=${line##*HTTP/1.1 }
        STATUS=${line%% *}
        return
        ;;
    esac
    [ "$code" -le 128 ] || break
    [ "$code" = 0 ] || return 0
  done
  STATUS=000
}

# link_target TARGET: a connection by the files as they are now, with its input at 6 and its output at 5;
# openssl ends with this process, since its input then ends
link_target() {
  local port=$API_PORT
  local -a options=(-CAfile "$API_CA")
  unlink_target
  [ ! -r "$API_CLIENT_KEY" ] || options+=(-cert "$API_CLIENT_CERT" -key "$API_CLIENT_KEY")
  if [ "$1" = etcd ]; then
    port=$ETCD_CLIENT_PORT
    options=(-CAfile "$CLIENT_CA" -cert "$CLIENT_CERT" -chainCAfile "$CLIENT_CERT" -key "$CLIENT_KEY")
  fi
  coproc LINK {
    exec timeout 600 openssl s_client -quiet -no_ign_eof -connect "$(host_port "$ADDRESS" "$port")" \
      "${options[@]}" -verify 5 -verify_return_error 2>/dev/null 7>&-
  }
  LINKED=${LINK_PID-}
  # of one that has ended already there are none
  exec 5<&"${LINK[0]-}" 6>&"${LINK[1]-}"
  # others than its own, which bash closes when it ends
  [ -z "${LINK[1]-}" ] || eval "exec ${LINK[0]}<&- ${LINK[1]}>&-"
}

unlink_target() {
  local parent=''
  [ -n "$LINKED" ] || return 0
  exec 5<&- 6>&-
  # one that has ended may be another process by now
  { read -r _ _ _ parent _ <"/proc/$LINKED/stat"; } 2>/dev/null
  [ "$parent" != "$BASHPID" ] || kill "$LINKED"
  wait "$LINKED"
  LINKED=''
}

# probe_figures TARGET NOW: of its tries between the last two "step", nothing without any: state, tries,
# failures, the longest time between two that succeeded, how long before NOW (seconds since the boot) it had
# ended, and the longest that one took; in milliseconds. A gap counts where it ends, and one that goes on up
# to the last try. How long the probe itself did nothing is none.
probe_figures() {
  awk -v target="$1" -v now="$2" '
    $1 == "step" {
      state = answers ? "answers" : status ~ /^40[0134]$/ ? "refused" : "silent"
      said = !tries ? "" : sprintf("%s %d %d %d %d %d\n", state, tries, failures,
        gap * 1000 + 0.5, (now - ended) * 1000 + 0.5, slowest * 1000 + 0.5)
      tries = failures = gap = ended = slowest = 0
    }
    $3 != target || NF != 4 { next }
    {
      tries++
      if (last == "") last = $1
      ok = $4 == 200 || ($4 == 401 && target == "kube-apiserver")
      this = $2 - last
      if (ok && !failed && this > $2 - $1 + 0.6) this = $2 - $1 + 0.6
      if (this >= gap) { gap = this; ended = $2 }
      if (!ok) { failures++; failed = 1; status = $4; next }
      last = $2
      failed = 0
      answers = 1
      if ($2 - $1 > slowest) slowest = $2 - $1
    }
    END { printf "%s", said }' "$STATE_DIR/probe" 2>/dev/null
}

# report_probe: what it has seen since the step before
report_probe() {
  local target now figures
  [ -s "$STATE_DIR/probe" ] || return 0
  # first, so that no try is between two steps
  begin_probe
  read -r now _ </proc/uptime
  for target in etcd kube-apiserver; do
    figures=$(probe_figures "$target" "$now")
    [ -z "$figures" ] || result "probe $MASTER $target $figures"
  done
}

# begin_probe: where this run has one, it begins, or counts anew
begin_probe() {
  [ ! -f "$STATE_DIR/probe" ] || printf 'step\n' >>"$STATE_DIR/probe"
}
