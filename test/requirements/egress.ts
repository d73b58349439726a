import type { Requirements } from './requirement.ts'

/** The way out. */
export const egress: Requirements = {}
