#!/usr/bin/env node
// Runs the pinned Bun with the arguments given: `node bin/bun.js test`.
import { runBun } from './run-bun.js'

runBun(process.argv.slice(2))
