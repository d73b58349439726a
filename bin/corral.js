#!/usr/bin/env node
// The launcher: any Node from 20 on starts it; Corral itself runs on the pinned Bun.
import { fileURLToPath } from 'node:url'
import { runBun } from './run-bun.js'

runBun([fileURLToPath(new URL('../src/main.ts', import.meta.url)), ...process.argv.slice(2)])
