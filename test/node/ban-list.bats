# The list of what older bash, OpenSSL and coreutils do not have catches each of its examples, and nothing
# that is allowed.

bats_require_minimum_version 1.5.0

@test "every ban catches its example, and what is allowed passes" {
  PATH=$BATS_TEST_DIRNAME/../../node_modules/.bin:$PATH run -0 node "$BATS_TEST_DIRNAME/ban-list.ts"
  [ "$output" = '' ]
}
