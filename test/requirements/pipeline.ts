import type { Requirements } from './requirement.ts'

/** What a request passes before its route (behaviour §1, §5). */
export const pipeline: Requirements = {}
