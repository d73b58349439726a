import type { Command } from './command.ts'
import { health } from './health.ts'
import { run } from './run.ts'

/** Every command, in the order in which the help lists them. */
export const commands: readonly Command[] = [run, health]
