# What a step and the survey both know about a master and do there.

source "${BASH_SOURCE%/*}/../lib/output.sh"
source "${BASH_SOURCE%/*}/../lib/process.sh"
source "${BASH_SOURCE%/*}/../lib/arguments.sh"
source "${BASH_SOURCE%/*}/../lib/tls.sh"
source "${BASH_SOURCE%/*}/../lib/receipt.sh"
source "${BASH_SOURCE%/*}/../lib/files.sh"
source "${BASH_SOURCE%/*}/../lib/etcd.sh"
source "${BASH_SOURCE%/*}/../lib/api-server.sh"
source "${BASH_SOURCE%/*}/../lib/rows.sh"
source "${BASH_SOURCE%/*}/../lib/kubernetes.sh"
