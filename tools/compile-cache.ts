import { enableCompileCache } from "node:module";
import { compiledFolder } from "./setup/cache-folder.ts";

// For `node --import`: what is loaded after this is kept compiled, unless the environment says where already.
enableCompileCache(compiledFolder());
