-- SPDX-License-Identifier: Apache-2.0
--
-- What the consumer may do, table by table; after `coupond schema apply` has made the tables. Nobody
-- may take back a reject or a place in the log, and a holder's row goes only when a coupon is given
-- back, which leaves one in the history.

GRANT SELECT ON coupond.* TO 'coupond_consumer'@'%';
GRANT INSERT, UPDATE ON coupond.events TO 'coupond_consumer'@'%';
GRANT INSERT, UPDATE, DELETE ON coupond.coupons TO 'coupond_consumer'@'%';
GRANT INSERT, DELETE ON coupond.user_coupons TO 'coupond_consumer'@'%';
GRANT INSERT ON coupond.user_coupons_history TO 'coupond_consumer'@'%';
GRANT INSERT, UPDATE ON coupond.log_offsets TO 'coupond_consumer'@'%';
GRANT INSERT, UPDATE ON coupond.rejects TO 'coupond_consumer'@'%';
