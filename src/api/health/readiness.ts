/** Whether new requests should come here, and why not. One for the whole server; `/readyz` shows it. */
export interface Readiness {
  /** Why requests should go elsewhere, e.g. `draining`; empty when ready. */
  readonly reasons: readonly string[]
  /** Makes the server unready for `reason` until the returned function is called. */
  block(reason: string): () => void
  /** Makes the server unready for `reason` while `isReady` returns false. */
  addReadinessCheck(reason: string, isReady: () => boolean): void
}

export function createReadiness(): Readiness {
  const blocks = new Set<{ reason: string }>()
  const demands: { reason: string; isReady: () => boolean }[] = []
  return {
    get reasons() {
      return [...blocks, ...demands.filter(({ isReady }) => !isReady())].map(({ reason }) => reason)
    },
    block(reason) {
      const block = { reason }
      blocks.add(block)
      return () => void blocks.delete(block)
    },
    addReadinessCheck: (reason, isReady) => void demands.push({ reason, isReady }),
  }
}
