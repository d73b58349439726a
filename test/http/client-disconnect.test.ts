import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { RequestContext } from '../../src/http/middleware/context.ts'
import { runs } from '../../src/testing/sizes.ts'

function asked(): { context: RequestContext; leave: (reason: unknown) => void } {
  const caller = new AbortController()
  const context = new RequestContext(new Request('http://127.0.0.1/', { signal: caller.signal }))
  return { context, leave: (reason) => caller.abort(reason) }
}

test('a listener for a disconnect is called as with the signal, once, and not after it was removed', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ do: fc.constantFrom('listen' as const, 'stop' as const), who: fc.nat(3) }),
      fc.record({ do: fc.constantFrom('leave' as const, 'abort' as const), who: fc.nat(3) }),
    ),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(steps, fc.boolean(), (all, isAskedEarly) => {
      const { context, leave } = asked()
      const { signal } = context
      const early = isAskedEarly ? context.abortListenable : undefined
      const heard: string[] = []
      const expected: string[] = []
      const notices = [0, 1, 2, 3].map((who) => ({ handleEvent: () => void heard.push(`notice ${who}`) }))
      const signals = [0, 1, 2, 3].map((who) => ({ handleEvent: () => void expected.push(`notice ${who}`) }))
      for (const step of all) {
        const { who } = step
        if (step.do === 'listen') {
          context.abortListenable.removeEventListener('abort', notices[who]!)
          context.abortListenable.addEventListener('abort', notices[who]!, { once: true })
          signal.removeEventListener('abort', signals[who]!)
          signal.addEventListener('abort', signals[who]!, { once: true })
        } else if (step.do === 'stop') {
          context.abortListenable.removeEventListener('abort', notices[who]!)
          signal.removeEventListener('abort', signals[who]!)
        } else if (step.do === 'leave') leave(new Error(`left ${who}`))
        else context.abort(new Error(`stopped ${who}`))
      }
      expect(heard).toEqual(expected)
      const notice = early ?? context.abortListenable
      expect(notice).toBe(context.abortListenable)
      expect(notice.aborted).toBe(signal.aborted)
      expect(notice.reason).toBe(signal.reason)
      if (signal.aborted) expect(() => notice.throwIfAborted()).toThrow((signal.reason as Error).message)
      else notice.throwIfAborted()
    }),
    { numRuns: runs(500) },
  )
})

test('a disconnect is known through the signal and through the listenable', () => {
  for (const ask of ['signal', 'abortListenable'] as const) {
    const { context, leave } = asked()
    expect(context[ask].aborted).toBe(false)
    leave(new Error('left'))
    expect(context.disconnected).toBe(true)
  }
})
