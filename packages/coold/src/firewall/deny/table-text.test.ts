import { expect, test } from 'vitest';
import { createTableReader } from './table-text.ts';

const listing = `table inet coolify_guard {
	flags dormant

	set mesh_pools {
		type ipv4_addr
		size 65535	# count 2
		flags interval
		elements = { 10.210.0.0/16, 10.99.0.0/24 comment "joined",
			     10.3.0.0/16 }
	}

	chain forward { # handle 3
		type filter hook forward priority filter - 10; policy accept;
		icmp type { echo-reply, echo-request } accept # handle 7
	}

	chain coolify_allow {
		accept
	}
}
table inet other {
}
`;

test('a listing is read by its parts, whatever version of nft printed it', () => {
  const reader = createTableReader(['chain coolify_allow']);
  for (const line of listing.split('\n')) reader.take(line);
  expect([...reader.tables.keys()]).toEqual(['inet coolify_guard', 'inet other']);
  const table = reader.tables.get('inet coolify_guard');
  expect(table?.head).toEqual(['flags dormant']);
  expect(Object.fromEntries(table?.parts ?? [])).toEqual({
    'set mesh_pools': [
      ...['type ipv4_addr', 'size 65535', 'flags interval'],
      ...['10.210.0.0/16', '10.3.0.0/16', '10.99.0.0/24 comment "joined"'],
    ],
    'chain forward': [
      'type filter hook forward priority filter - 10; policy accept;',
      'icmp type { echo-reply, echo-request } accept',
    ],
    'chain coolify_allow': [],
  });
});
