/** Where a machine's SSH server is. */
export interface SshEndpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** How one machine is reached. Keys and passwords stay in memory. */
export interface Access extends SshEndpoint {
  /** `type base64`, or `unchecked` */
  readonly hostKey: string;
  readonly privateKey?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly password?: string | undefined;
  readonly agentSocket?: string | undefined;
}
