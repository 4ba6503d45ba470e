# Whether kube-apiserver is ready, whatever becomes of the certificate that asks.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

# ready: what is_api_ready says with a client certificate
ready() {
  call 'if is_api_ready; then printf yes; else printf no; fi' \
    "API_CLIENT_CERT='$SUITE/old/client.pem' API_CLIENT_KEY='$SUITE/old/client-key.pem'"
}

@test "an API server that refuses the client certificate of its own is asked without one" {
  [ "$(ready)" = yes ]
  : >"$FAKE/api-refuses-certificates"
  [ "$(ready)" = yes ]
  # a start, or what its own check says
  printf '500 Internal Server Error' >"$FAKE/api-answer-to-nobody"
  [ "$(ready)" = no ]
  # while it starts it does not know its own roles yet
  printf '403 Forbidden' >"$FAKE/api-answer-to-nobody"
  [ "$(ready)" = no ]
  # one that tells nobody anything serves
  printf '401 Unauthorized' >"$FAKE/api-answer-to-nobody"
  [ "$(ready)" = yes ]
  : >"$FAKE/api-not-ready"
  [ "$(ready)" = no ]
}

@test "one that does not know /readyz yet is asked for /healthz" {
  : >"$FAKE/api-is-old"
  [ "$(ready)" = yes ]
  : >"$FAKE/api-not-ready"
  [ "$(ready)" = no ]
}

@test "a certificate that is accepted is the one whose answer counts" {
  printf '500 Internal Server Error' >"$FAKE/api-answer-to-nobody"
  [ "$(ready)" = yes ]
}
