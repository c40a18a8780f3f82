// 'troupe/doors': how the outside gets in. API.md section 7. `import 'troupe'` loads none of this.

export { type HttpDoor, type HttpOptions, type ShownNode, serveHttp } from './http-server.ts';
export { type KeyvStore, keyvStore } from './keyv.ts';
export { metricsOf } from './prometheus.ts';
export { type UnstorageCall, type UnstorageDriver, unstorageDriver } from './unstorage.ts';
