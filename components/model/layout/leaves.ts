import type { Authority, Leaf } from "./rows.ts";
import { ackSurroundings } from "./tables.ts";

/** The object identifiers of the extended key usages, RFC 5280 section 4.2.1.12. */
export const useIdentifiers = { server_auth: "1.3.6.1.5.5.7.3.1", client_auth: "1.3.6.1.5.5.7.3.2" } as const;

/** What the tls provider can write into a subject, each once, by its short name. */
export const subjectAttributes = {
  CN: "commonName",
  O: "organization",
  OU: "organizationalUnit",
  C: "country",
  L: "locality",
  ST: "province",
  postalCode: "postalCode",
  serialNumber: "serialNumber",
} as const;

/** What is asked of each leaf; key usages as RFC 5280 section 4.2.1.3 and 4.2.1.12 name them. */
export const leafProfiles = {
  // a server leaf is etcd's own client towards its gateway (etcd#9785): without clientAuth the gateway answers 503
  "etcd-server": {
    authority: "etcd",
    commonName: "etcd-server",
    uses: ["server_auth", "client_auth"],
    sans: "server",
  },
  // peers are each other's clients and servers; a peer is checked against its remote address (etcd listener_tls.go)
  "etcd-peer": {
    authority: "etcd-peer",
    commonName: "{etcdName}",
    uses: ["server_auth", "client_auth"],
    sans: "server",
  },
  "etcd-client": { authority: "etcd", commonName: "etcd-client", uses: ["client_auth"], sans: "none" },
} as const satisfies Record<Leaf, LeafProfile>;

interface LeafProfile {
  readonly authority: Authority;
  readonly commonName: string;
  readonly uses: readonly (keyof typeof useIdentifiers)[];
  readonly sans: "server" | "none";
}

/** Which leaf answers on which port: each is checked by the trust rows that accept it, and by no others. */
export const servedLeaves = {
  [ackSurroundings.etcdClientPort]: "etcd-server",
  [ackSurroundings.etcdPeerPort]: "etcd-peer",
} as const satisfies Record<number, Leaf>;
