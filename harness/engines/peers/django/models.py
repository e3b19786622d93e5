"""The models of datasets/business/schema.sql, as `inspectdb` writes them.

What it asks to be done by hand: parents come first, and what it marks as a guess is a field for
arrays or, for enums, of text. Without the database's defaults, which `loaddata` does not use.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Companies(models.Model):
    id = models.UUIDField(primary_key=True)
    name = models.TextField()
    slug = models.TextField(unique=True)
    plan = models.TextField()
    ownerid = models.ForeignKey(
        "Users", models.DO_NOTHING, db_column="ownerId", blank=True, null=True
    )
    address = models.JSONField()
    taxrate = models.DecimalField(db_column="taxRate", max_digits=5, decimal_places=2)
    employeecount = models.IntegerField(db_column="employeeCount", blank=True, null=True)
    isactive = models.BooleanField(db_column="isActive")
    createdat = models.DateTimeField(db_column="createdAt")
    updatedat = models.DateTimeField(db_column="updatedAt")

    class Meta:
        managed = False
        db_table = "companies"


class Users(models.Model):
    id = models.UUIDField(primary_key=True)
    email = models.TextField(unique=True)
    firstname = models.TextField(db_column="firstName")
    lastname = models.TextField(db_column="lastName")
    companyid = models.ForeignKey(Companies, models.DO_NOTHING, db_column="companyId")
    role = models.TextField()
    passwordhash = models.BinaryField(db_column="passwordHash")
    preferences = models.JSONField()
    tags = ArrayField(models.TextField())
    trustscore = models.FloatField(db_column="trustScore", blank=True, null=True)
    isverified = models.BooleanField(db_column="isVerified")
    lastloginat = models.DateTimeField(db_column="lastLoginAt", blank=True, null=True)
    createdat = models.DateTimeField(db_column="createdAt")
    updatedat = models.DateTimeField(db_column="updatedAt")

    class Meta:
        managed = False
        db_table = "users"


class Categories(models.Model):
    id = models.BigAutoField(primary_key=True)
    parentid = models.ForeignKey(
        "self", models.DO_NOTHING, db_column="parentId", blank=True, null=True
    )
    name = models.TextField()
    slug = models.TextField(unique=True)
    description = models.TextField(blank=True, null=True)
    position = models.IntegerField()

    class Meta:
        managed = False
        db_table = "categories"


class Products(models.Model):
    id = models.BigAutoField(primary_key=True)
    sku = models.TextField(unique=True)
    categoryid = models.ForeignKey(Categories, models.DO_NOTHING, db_column="categoryId")
    name = models.TextField()
    description = models.TextField()
    price = models.DecimalField(max_digits=12, decimal_places=2)
    weightkg = models.FloatField(db_column="weightKg", blank=True, null=True)
    attributes = models.JSONField()
    tags = ArrayField(models.TextField())
    thumbnail = models.BinaryField(blank=True, null=True)
    stock = models.IntegerField()
    availablefrom = models.DateField(db_column="availableFrom", blank=True, null=True)
    createdat = models.DateTimeField(db_column="createdAt")

    class Meta:
        managed = False
        db_table = "products"


class Orders(models.Model):
    id = models.UUIDField(primary_key=True)
    ordernumber = models.BigIntegerField(db_column="orderNumber", unique=True)
    userid = models.ForeignKey("Users", models.DO_NOTHING, db_column="userId")
    status = models.TextField()
    total = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.TextField()
    shippingaddress = models.JSONField(db_column="shippingAddress")
    note = models.TextField(blank=True, null=True)
    placedat = models.DateTimeField(db_column="placedAt")
    updatedat = models.DateTimeField(db_column="updatedAt")

    class Meta:
        managed = False
        db_table = "orders"


class OrderItems(models.Model):
    id = models.BigAutoField(primary_key=True)
    orderid = models.ForeignKey("Orders", models.DO_NOTHING, db_column="orderId")
    productid = models.ForeignKey("Products", models.DO_NOTHING, db_column="productId")
    quantity = models.IntegerField()
    unitprice = models.DecimalField(db_column="unitPrice", max_digits=12, decimal_places=2)
    discount = models.DecimalField(max_digits=5, decimal_places=2)
    giftwrap = models.BooleanField(db_column="giftWrap")
    options = models.JSONField(blank=True, null=True)
    note = models.TextField(blank=True, null=True)
    createdat = models.DateTimeField(db_column="createdAt")

    class Meta:
        managed = False
        db_table = "order_items"


class Payments(models.Model):
    id = models.UUIDField(primary_key=True)
    orderid = models.ForeignKey(Orders, models.DO_NOTHING, db_column="orderId")
    reference = models.TextField(unique=True)
    method = models.TextField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    fee = models.FloatField()
    providerresponse = models.JSONField(db_column="providerResponse", blank=True, null=True)
    signature = models.BinaryField()
    dueon = models.DateField(db_column="dueOn")
    paidat = models.DateTimeField(db_column="paidAt", blank=True, null=True)
    createdat = models.DateTimeField(db_column="createdAt")

    class Meta:
        managed = False
        db_table = "payments"


class Documents(models.Model):
    id = models.UUIDField(primary_key=True)
    companyid = models.ForeignKey(Companies, models.DO_NOTHING, db_column="companyId")
    authorid = models.ForeignKey(
        "Users", models.DO_NOTHING, db_column="authorId", blank=True, null=True
    )
    title = models.TextField()
    body = models.TextField()
    labels = ArrayField(models.TextField())
    content = models.BinaryField(blank=True, null=True)
    version = models.IntegerField()
    createdat = models.DateTimeField(db_column="createdAt")
    updatedat = models.DateTimeField(db_column="updatedAt")

    class Meta:
        managed = False
        db_table = "documents"


class Auditevent(models.Model):
    id = models.BigAutoField(primary_key=True)
    actorid = models.ForeignKey(
        "Users", models.DO_NOTHING, db_column="actorId", blank=True, null=True
    )
    action = models.TextField()
    entity = models.TextField()
    entityid = models.TextField(db_column="entityId")
    before = models.JSONField(blank=True, null=True)
    after = models.JSONField(blank=True, null=True)
    ipaddress = models.TextField(db_column="ipAddress")
    useragent = models.TextField(db_column="userAgent", blank=True, null=True)
    durationms = models.FloatField(db_column="durationMs")
    createdat = models.DateTimeField(db_column="createdAt")

    class Meta:
        managed = False
        db_table = "AuditEvent"
