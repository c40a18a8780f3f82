// The far process: opens its end of one way and says where. It is killed when nobody needs it any more.

import { once } from 'node:events';
import { loadListen } from './ways.ts';

const [{ given }] = (await once(process, 'message')) as [{ given: unknown }];
const listen = await loadListen(process.argv[2] as string);
process.send?.(await listen(given));
