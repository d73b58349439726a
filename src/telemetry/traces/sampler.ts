import type { SamplerName } from '../config.ts'
import type { Sampler } from './trace-context.ts'

/**
 * OpenTelemetry's samplers. The share goes by the last 14 hexadecimal digits of the trace's id, which are random (W3C Trace Context level 2, OpenTelemetry's
 * consistent probability sampling), so that every service that samples a trace at the same rate decides alike.
 */
export function createSampler(name: SamplerName, ratio: number): Sampler {
  const root = rootSampler(name.replace('parentbased_', ''), ratio)
  if (!name.startsWith('parentbased_')) return (traceId) => root(traceId)
  return (traceId, parent) => (parent ? parent.sampled : root(traceId))
}

function rootSampler(name: string, ratio: number): (traceId: string) => boolean {
  if (name === 'always_off' || (name === 'traceidratio' && ratio <= 0)) return () => false
  if (name === 'always_on' || ratio >= 1) return () => true
  // 13 of the digits are exact as a number, and fine enough.
  const threshold = (1 - ratio) * 16 ** 13
  return (traceId) => Number.parseInt(traceId.slice(18, 31), 16) >= threshold
}
