import module from "node:module";
import { compiledFolder } from "./cache-folder.ts";

// What is loaded after this is kept compiled, unless the environment says where already; Node.js 20 cannot.
module.enableCompileCache?.(compiledFolder());
