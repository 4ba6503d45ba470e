/** One endpoint as a program writes it. */
interface EndpointSpec {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly privateKey?: string;
  readonly privateKeyPassword?: string;
  readonly password?: string;
  readonly agentSocketPath?: string;
  readonly hostKey?: string;
  readonly dialErrorLimit?: number;
  readonly perDialTimeout?: number;
}

export interface ConnectionSpec extends EndpointSpec {
  readonly proxy?: EndpointSpec;
}

/** One remote.Command of a test program, as JSON. */
export interface CommandSpec {
  readonly connection: ConnectionSpec;
  readonly create?: string;
  readonly update?: string;
  readonly delete?: string;
  readonly stdin?: string;
  /** Becomes `stdin`, marked as a secret. */
  readonly secretStdin?: string;
  readonly environment?: Record<string, string>;
  readonly triggers?: string[];
  readonly logging?: "stdout" | "stderr" | "stdoutAndStderr" | "none";
  readonly addPreviousOutputInEnv?: boolean;
}
