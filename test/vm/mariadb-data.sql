-- What breaks dumps that are taken for granted: test/vm/mariadb has it backed up and restored.
set names utf8mb4;
create database shop character set utf8mb4;
use shop;
create table bytes (id int primary key, b blob, v varbinary(300), bits bit(9), d binary(4), g point);
insert into bytes values (1, unhex('00'), unhex('0027225c0a0d1a00ff'), b'101010101', unhex('00000000'), point(1, 2)), (2, '', '', b'0', 'a', null), (3, null, null, null, null, null);
insert into bytes select 10 + seq, repeat(char(seq using binary), 300), char(seq using binary), seq, char(seq, seq using binary), null from seq_0_to_255;
create table texts (id int auto_increment primary key, t varchar(200) character set utf8mb4, l varchar(20) character set latin1, x longtext, e enum('', 'é', 'a,b'''), j json check (json_valid(j)), s set('x', 'y'), unique (t)) comment 'it''s "quoted" \\ and\nmore';
insert into texts (t, l, x, e, j, s) values ('𝒳 😀 𐍈 é', 'é', '', 'é', '{"a": "😀\\n"}', 'x,y'), ('', '', null, '', null, ''), ('''"`\\;\n\t\0\r\Z', 'ÿ', '/*!99999 drop database shop */ -- x', 'a,b''', '[]', null);
insert into texts (id, t) values (0, 'automatic');
create table zero (id int auto_increment primary key, at timestamp null default '0000-00-00 00:00:00', f double, n decimal(65, 30), y year, i bigint unsigned);
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
insert into zero values (0, '0000-00-00 00:00:00', 1e308, -12345678901234567890123456789012345.123456789012345678901234567890, 2155, 18446744073709551615), (7, '2026-03-29 02:30:00', -0.0, 0.1, 0, 0);
set sql_mode = default;
create table empty (id int);
create table huge (id int primary key, x longblob, y longtext);
insert into huge values (1, repeat(unhex('00ff5c27'), 2000000), repeat('𝒳"''\\\n', 500000)), (2, '', '');
create table generated (a int, b int generated always as (a * 2) stored, c varchar(20) as (concat('x', a)) virtual, d int invisible default 7, key (b), check (a > 0));
insert into generated (a) values (1), (2);
create table parent (id int primary key);
create table child (id int primary key, p int, constraint `a;b"c` foreign key (p) references parent (id) on delete cascade);
insert into parent values (1), (2);
insert into child values (1, 1), (2, 2), (3, null);
create table `it's; a "table` (`a ``column;` int, `select` int);
insert into `it's; a "table` values (1, 2);
create table parts (id int, at date) partition by range (id) (partition p0 values less than (10), partition p1 values less than maxvalue);
insert into parts values (1, '2026-01-01'), (100, '2026-02-01');
create table myisam (id int, t text, fulltext (t)) engine=MyISAM;
insert into myisam values (1, 'words to be found');
create table aria (id int) engine=Aria page_checksum=1 transactional=1;
insert into aria values (1), (2);
create table memory (id int) engine=MEMORY;
create table versioned (id int) with system versioning;
insert into versioned values (1);
create table compressed (id int, t text) row_format=compressed;
insert into compressed select seq, repeat('x', seq) from seq_1_to_500;
create sequence counter start with 5 increment by 3;
select nextval(counter), nextval(counter);
-- A view of one that comes later by name, with a definer who is not there, and one of a routine.
create function twice(x int) returns int deterministic comment 'a; b' return x * 2;
create definer=`gone`@`nowhere` sql security invoker view `z view` as select t, id from texts;
create view `a view;` as select *, twice(id) as d from `z view` where t <> ';';
delimiter //
create procedure fill(in n int) begin declare i int default 0; while i < n do insert into empty values (i); set i = i + 1; end while; delete from empty; end//
create procedure `odd; name`() begin select 'delimiter ;', "//"; -- comment
end//
create trigger doubled before insert on child for each row begin if new.p is null then set new.p = null; end if; end//
create trigger counted after insert on parent for each row insert into empty values (new.id); //
create event nightly on schedule every 1 day starts '2030-01-01 00:00:00' disable do begin delete from empty; end//
create event enabled on schedule every 1 second do insert into shop.empty values (1)//
delimiter ;
alter event enabled disable;
create database `it's; a "name" ``x` character set latin1 collate latin1_german2_ci;
use `it's; a "name" ``x`;
create table t (id int primary key, x varchar(20));
insert into t values (1, 'ß');
create database `-dash`;
create table `-dash`.t (id int);
-- As the server compares names, the first is its own, and the second is `shop`.
create database `SYS`;
create table `SYS`.t (id int);
insert into `SYS`.t values (3);
create database `Shop`;
create table `Shop`.texts (id int);
insert into `Shop`.texts values (4);
create database `ünï`;
create table `ünï`.`tä;` (`ö` int);
insert into `ünï`.`tä;` values (1);
create database nothing;
create user app@'%' identified by 'app''s secret';
create user `o'dd;`@`10.%` identified by 'x' require ssl with max_user_connections 3;
create user locked@localhost identified by 'x' account lock;
create role reader, `wri ter`;
grant select on shop.* to reader;
grant insert (id), select on shop.child to `wri ter`;
grant reader to app@'%';
grant `wri ter` to app@'%';
set default role reader for app@'%';
grant all on `it's; a "name" ``x`.* to app@'%' with grant option;
grant execute on procedure shop.fill to `o'dd;`@`10.%`;
grant execute on function shop.twice to app@'%';
