# What a unit of systemd or a static pod is started with, whether it runs or not.

# the settings of etcd that leave the master, by their flags; the rest of its environment or file does not
ETCD_SETTINGS='config-file name data-dir wal-dir initial-cluster listen-peer-urls listen-client-urls'
ETCD_SETTINGS="$ETCD_SETTINGS initial-advertise-peer-urls advertise-client-urls cert-file key-file"
readonly ETCD_SETTINGS="$ETCD_SETTINGS trusted-ca-file peer-cert-file peer-key-file peer-trusted-ca-file"

# etcd_settings PID: what etcd's process, or with an empty PID its unit or static pod, is started with, as
# flags, of which the first counts: a configuration file stands alone, else a flag goes before a variable
# (etcd server/etcdmain/config.go, parse)
etcd_settings() {
  local arguments environment='' file
  if [ -n "$1" ]; then
    arguments=$(tr '\0' '\n' <"/proc/$1/cmdline")
    environment=$(tr '\0' '\n' <"/proc/$1/environ")
  elif is_etcd_unit; then
    arguments=$(unit_arguments "$ETCD_UNIT")
    environment=$(unit_environment "$ETCD_UNIT")
  else
    arguments=$(manifest_arguments "$ETCD_MANIFEST")
  fi 2>/dev/null
  [ -n "$arguments" ] || return 0
  environment=$(printf '%s\n' "$environment" | awk -F= '/^ETCD_[A-Z_]+=/ {
    name = tolower(substr($1, 6)); gsub(/_/, "-", name); print name substr($0, length($1) + 1)
  }' | known_settings)
  file=$(printf '%s\n' "$arguments" "$environment" | flag_in --config-file)
  if [ -z "$file" ]; then
    printf '%s\n' "$arguments" ${environment:+"$environment"}
    return
  fi
  printf -- '--config-file=%s\n' "$file"
  case $1:$file in
    :/*) ;;
    :*) file=$(etcd_folder)/$file ;;
    *:/*) file=/proc/$1/root$file ;;
    *) file=/proc/$1/cwd/$file ;;
  esac
  [ ! -r "$file" ] || settings_in_file "$file" | known_settings
}

# settings_in_file FILE: of etcd's configuration, as name=value lines with the names of flags
settings_in_file() {
  tr -d "\"'\r" <"$1" | awk '
    /^[^ #]/ { section = /^peer-transport-security:/ ? "peer-" : "" }
    /^ *[a-z-]+:/ {
      name = value = $0
      sub(/^ */, "", name)
      sub(/:.*/, "", name)
      sub(/^ *[a-z-]+: */, "", value)
      sub(/(^| +)#.*/, "", value)
      sub(/ *$/, "", value)
      print (/^ / ? section : "") name "=" value
    }'
}

# known_settings: of name=value lines on stdin those that are read here, as flags
known_settings() {
  local line
  while IFS= read -r line; do
    case " $ETCD_SETTINGS " in *" ${line%%=*} "*) printf -- '--%s\n' "$line" ;; esac
  done
}

# etcd_folder: which relative paths of etcd's unit begin at
etcd_folder() {
  local folder=''
  ! is_etcd_unit || folder=$(unit_property WorkingDirectory)
  # of one that need not be there
  folder=${folder#!}
  printf '%s' "${folder%/}"
}

# manifest_arguments FILE: a static pod's command, one word per line without quotes, from a block or a list
manifest_arguments() {
  [ -r "$1" ] || return 0
  sed -e '/^ *\(command\|args\): *\[/ {
    s/^[^[]*\[ */- /; s/ *\] *$//; s/\(["'\'']\), */\1\n- /g; s/, \{1,\}/\n- /g
  }' "$1" | sed -n -e '/^ *- *[^:]*: /d' -e "s/^ *- *[\"']\{0,1\}\([^\"'{ ][^\"']*\)[\"']\{0,1\} *\$/\1/p"
}

# unit_arguments UNIT: its command, with the variables of its environment filled in, without quotes
unit_arguments() {
  local text line
  text=$(systemctl show -p ExecStart "$1" 2>/dev/null |
    sed -n 's/^ExecStart={.* argv\[\]=\(.*\) ; ignore_errors=.*/\1/p' | head -n 1)
  [ -n "$text" ] || return 0
  while IFS= read -r line; do
    case $line in [A-Za-z_]*=*) text=$(fill_in "${line%%=*}" "${line#*=}" " $text ") ;; esac
  done < <(unit_environment "$1")
  printf '%s\n' "$text" | tr -d "\"'" | tr -s ' ' '\n' | sed '/^$/d'
}

# unit_environment UNIT: NAME=VALUE lines, the one that counts first: the last file's last, and the unit's own
# at the end (for EnvironmentFiles systemd of CentOS 7 prints EnvironmentFile)
unit_environment() {
  local file
  {
    systemctl show -p Environment "$1" 2>/dev/null | sed -e 's/^Environment=//' | tr ' ' '\n'
    systemctl show -p EnvironmentFiles "$1" 2>/dev/null |
      sed -n 's/^EnvironmentFiles\{0,1\}=\(.*\) (ignore_errors=.*/\1/p' | while IFS= read -r file; do
      [ ! -r "$file" ] || sed -e "s/=[\"']\(.*\)[\"'] *\$/=\1/" "$file"
    done
  } | tac
}

# fill_in NAME VALUE TEXT: TEXT with ${NAME}, and the word $NAME, as systemd does it
fill_in() {
  local text=$3 done='' pattern
  for pattern in "\${$1}" " \$$1 "; do
    while [[ $text == *"$pattern"* ]]; do
      done=$done${text%%"$pattern"*}
      case $pattern in ' '*) done="$done $2 " ;; *) done=$done$2 ;; esac
      text=${text#*"$pattern"}
    done
    text=$done$text
    done=''
  done
  printf '%s' "$text"
}

# flag_in FLAG: its value, from arguments on stdin
flag_in() {
  awk -v flag="$1" '
    wanted { print; exit }
    { sub(/^--?/, "--") }
    index($0, flag "=") == 1 { print substr($0, length(flag) + 2); exit }
    $0 == flag { wanted = 1 }'
}
