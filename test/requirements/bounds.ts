import type { Requirements } from './requirement.ts'

export const bounds: Requirements = {
  'BND-1': {
    source: 'field report; RFC 8259 section 9',
    when: 'the objects in a request body have more than `server.max_json_members` members together',
    observed: '400 `too_many_members` before the body is parsed; array elements are not counted',
  },
  'BND-2': {
    source: 'field report',
    when: '`metadata` or `models` in a request body is larger than 64 kB, or a field names more than 100 further models',
    observed: '400: `field_too_large` before the body is parsed, or `array_above_max_length`',
  },
  'BND-3': {
    source: 'field report',
    when: 'request bodies in flight would take more than `server.max_buffered_body_bytes`, decompressed',
    observed: '503 `too_many_request_bytes` with Retry-After; the bytes are released when each request ends, however it ends',
  },
  'BND-4': {
    source: 'field report; docs/metrics.md',
    when: 'callers register models and use them',
    observed: 'no metric has the registered name as a label; their targets are labels, where the provider lists them or lists nothing',
  },
  'BND-5': {
    source: 'field report; docs/metrics.md',
    when: 'callers are authenticated and one reads /metrics',
    observed: '403 without the scope `telemetry.read`; with `telemetry.metrics.public` it is readable without a credential',
  },
}
